//! EC2's words, where its code says too little.

use courier_core::refusal::{denied, meaning};

#[test]
fn the_words_say_what_passes_and_what_never_will_and_unknown_words_may_pass() {
    for (words, may_pass, advice) in [
        ("The storage for the ami is not available in the source Region.", true, "young"),
        ("You do not have permission to access the storage of this ami", true, "create volume permission"),
        ("Images from AWS Marketplace cannot be copied to another AWS account", false, "ami-courier:skip"),
        ("Images with EC2 BillingProduct codes cannot be copied to another AWS account", false, "NAME_PATTERNS"),
        ("Not authorized for images", true, "must share"),
        ("Something that nobody has seen yet", true, "EC2's own words"),
        ("", true, "EC2's own words"),
    ] {
        let meaning = meaning(words);
        assert_eq!(meaning.may_pass, may_pass, "{words}");
        assert!(meaning.advice.contains(advice), "{words}: {}", meaning.advice);
        assert!(may_pass || !meaning.advice.contains("key"), "a key does not help: {words}: {}", meaning.advice);
    }
}

#[test]
fn a_denial_names_the_policy_that_denies_as_far_as_the_words_say() {
    let user = "User: arn:aws:sts::123456789012:assumed-role/r/f is not authorized to perform: ec2:CopyImage";
    for (words, names) in [
        ("with an explicit deny in a service control policy", "a service control policy"),
        ("because no service control policy allows the ec2:CopyImage action", "a service control policy"),
        ("with an explicit deny in a resource control policy", "a resource control policy"),
        ("because no permissions boundary allows the ec2:CopyImage action", "PermissionsBoundaryArn"),
        ("because no VPC endpoint policy allows the ec2:CopyImage action", "VPC endpoint"),
        ("because no identity-based policy allows the ec2:CopyImage action", "the function's role lacks"),
    ] {
        let advice = denied(&format!("{user} {words}"));
        assert!(advice.contains(names), "{words}: {advice}");
    }
    let unsaid =
        denied("You are not authorized to perform this operation. Encoded authorization failure message: Zm9v");
    for part in ["service control policy", "permissions boundary", "VPC", "aws sts decode-authorization-message"] {
        assert!(unsaid.contains(part), "{unsaid}");
    }
}
