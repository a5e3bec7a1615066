//! What EC2's words mean where its code says too little.
//!
//! `InvalidRequest` stands for anything: for what passes within minutes, and for what never will. `UnauthorizedOperation` does not
//! say whose policy denies the call. The words decide then, and words that nobody knows may pass.

/// EC2's code for whatever has no code of its own.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
pub const CATCH_ALL: &str = "InvalidRequest";

/// What a refusal with [`CATCH_ALL`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// Whether the same call may succeed within the hour.
    pub may_pass: bool,
    pub advice: &'static str,
}

const NEVER: &str = "EC2 never copies such an AMI of another account: tag the source with `ami-courier:skip` (of another account: with \
                     the shared tag), or exclude it with NAME_PATTERNS";
const SHARE: &str = "its owner must share with this account not only the AMI but also its snapshots (create volume permission) and, where \
                     they are encrypted, the KMS key (Decrypt, DescribeKey, CreateGrant, ReEncrypt*)";

/// Signs in EC2's words (in lower case; all parts of `one+other` must occur), seen in public. The first match counts.
const WORDS: [(&str, Meaning); 6] = [
    (
        "storage+not available",
        Meaning {
            may_pass: true,
            advice: "EC2 says this of an AMI that is young: check that its snapshots are completed, then send the message again",
        },
    ),
    ("aws marketplace", Meaning { may_pass: false, advice: NEVER }),
    ("billingproduct", Meaning { may_pass: false, advice: NEVER }),
    ("access the storage", Meaning { may_pass: true, advice: SHARE }),
    ("permission", Meaning { may_pass: true, advice: SHARE }),
    ("not authorized", Meaning { may_pass: true, advice: SHARE }),
];

const UNKNOWN: Meaning = Meaning {
    may_pass: true,
    advice: "read EC2's own words: they are all that it says. Often it is the AMI's encryption, or that its snapshots or key are not \
             shared with this account",
};

/// What EC2 means by these words, with the code [`CATCH_ALL`].
pub fn meaning(message: &str) -> Meaning {
    let message = message.to_ascii_lowercase();
    let tells = |sign: &str| sign.split('+').all(|part| message.contains(part));
    WORDS.iter().find(|(sign, _)| tells(sign)).map_or(UNKNOWN, |(_, meaning)| *meaning)
}

/// What to do about a call that is denied, by the words of the denial. The stack's role allows every call of the courier, so it is
/// seldom the role.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
pub fn denied(message: &str) -> &'static str {
    const POLICIES: [(&str, &str); 5] = [
        (
            "service control policy",
            "a service control policy of your organization denies this call, not the function's role: have it allow the role, then \
             send the message again",
        ),
        (
            "resource control policy",
            "a resource control policy of your organization denies this call, not the function's role: have it allow the role, then \
             send the message again",
        ),
        (
            "permissions boundary",
            "the permissions boundary of the function's role denies this call (PermissionsBoundaryArn): have it allow the call, then \
             send the message again",
        ),
        (
            "endpoint policy",
            "the policy of the VPC endpoint denies this call, not the function's role: have it allow the call, then send the message \
             again",
        ),
        (
            "identity-based policy",
            "the function's role lacks this permission: with the stack's own role, update the stack; in a role of yours, allow the \
             call; then send the message again",
        ),
    ];
    let message = message.to_ascii_lowercase();
    POLICIES.iter().find(|(policy, _)| message.contains(policy)).map_or(
        "the stack's own role allows this call, so a service control policy, the role's permissions boundary or the policy of a VPC \
         endpoint denies it (`aws sts decode-authorization-message` decodes an encoded message, and names it): have that policy \
         allow the call, then send the message again",
        |(_, advice)| *advice,
    )
}
