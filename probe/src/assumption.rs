//! What the courier assumes of AWS: the one list. `docs/assumptions.md` shows it, the probe asks it, and the gate asks the embedded
//! AWS the same.

use crate::aws::BoxFuture;
use crate::lab::Lab;
use crate::questions::{Answer, copies, failed_copy, permissions, retired, tokens};

/// How we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// AWS's documentation says so.
    Documented,
    /// Users saw it.
    Reported,
    /// Nobody says so.
    Assumed,
}

impl Basis {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Basis::Documented => "documented",
            Basis::Reported => "reported",
            Basis::Assumed => "assumed",
        }
    }
}

/// What a question needs beyond a run of some minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// A role: `--permissions`.
    ARole,
    /// A run of a day: `--long`.
    ADay,
}

/// One thing that we assume, and how to ask for it.
#[derive(Clone, Copy, Debug)]
pub struct Assumption {
    /// The name of the function that asks.
    pub name: &'static str,
    pub question: &'static str,
    /// What the answer that we assume begins with; each of several, separated by `, or `.
    pub expected: &'static str,
    pub basis: Basis,
    /// What another answer means for the courier.
    pub otherwise: &'static str,
    pub needs: Needs,
    pub(crate) ask: for<'a> fn(&'a Lab) -> BoxFuture<'a, Answer>,
}

impl Assumption {
    /// Whether we assume this answer.
    #[must_use]
    pub fn expects(&self, seen: &str) -> bool {
        self.expected.split(", or ").any(|expected| seen.starts_with(expected))
    }
}

macro_rules! assumption {
    (
        $module:ident::$function:ident, $needs:ident, $question:literal, $expected:literal, $basis:ident, $otherwise:literal
    ) => {
        Assumption {
            name: stringify!($function),
            question: $question,
            expected: $expected,
            basis: Basis::$basis,
            otherwise: $otherwise,
            needs: Needs::$needs,
            ask: |lab| Box::pin($module::$function(lab)),
        }
    };
}

/// Every assumption, in the order in which the probe asks: what takes a day comes last.
pub const ASSUMPTIONS: &[Assumption] = &[
    assumption!(
        copies::does_ec2_accept_a_shared_tag_on_an_image,
        Nothing,
        "Does EC2 accept a tag `ec2:SharedTag/…` on an AMI?",
        "accepted",
        Documented,
        "`REQUIRED_TAGS` cannot select AMIs of other accounts: these have no tags that the courier can see"
    ),
    assumption!(
        copies::is_a_shared_tag_on_a_snapshot_refused,
        Nothing,
        "Is a tag `ec2:SharedTag/…` on a snapshot refused?",
        "refused",
        Documented,
        "none: the courier never puts such a tag on a snapshot"
    ),
    assumption!(
        copies::does_a_registered_ami_name_no_source,
        Nothing,
        "Does a registered AMI have no `SourceImageId`?",
        "yes: it has no SourceImageId",
        Documented,
        "the courier could take an AMI for a copy of another AMI"
    ),
    assumption!(
        copies::how_long_until_a_copy_is_visible_by_id,
        Nothing,
        "How long until a new copy is visible by id?",
        "within 15 minutes",
        Assumed,
        "the second look comes too early: the courier could make a second copy of one AMI"
    ),
    assumption!(
        copies::how_long_until_a_copy_is_visible_by_its_source,
        Nothing,
        "How long until a new copy is visible by `source-image-id`?",
        "within 15 minutes",
        Assumed,
        "the second look comes too early: the courier could make a second copy of one AMI"
    ),
    assumption!(
        copies::how_long_until_a_copy_is_visible_by_its_name,
        Nothing,
        "How long until a new copy is visible by name?",
        "within 15 minutes",
        Assumed,
        "after `InvalidAMIName.Duplicate` the courier retries for longer"
    ),
    assumption!(
        copies::does_a_pending_copy_show_its_snapshot_ids,
        Nothing,
        "Does a pending copy show its snapshot ids?",
        "yes, or no",
        Reported,
        "none: the courier judges a copy only once it is available"
    ),
    assumption!(
        copies::does_copy_image_accept_a_taken_name,
        Nothing,
        "Does CopyImage accept a name that another AMI has?",
        "accepted",
        Reported,
        "two source AMIs with one `COPY_NAME` cannot both be copied: the courier rejects the second and names the AMI that has the name"
    ),
    assumption!(
        tokens::does_the_same_token_make_nothing_further,
        Nothing,
        "Does the same client token with the same parameters make nothing further?",
        "the id of the first call",
        Documented,
        "the promise is broken: two calls at the same time make two copies of one AMI"
    ),
    assumption!(
        tokens::is_the_same_token_with_other_parameters_refused,
        Nothing,
        "Is the same client token with other parameters refused?",
        "refused: IdempotentParameterMismatch",
        Documented,
        "a new copy breaks the promise if the settings change between two calls; the id of the first call does not"
    ),
    assumption!(
        tokens::what_does_a_token_answer_with_tags_in_another_order,
        Nothing,
        "What does a client token answer with the same tags in another order?",
        "the id of the first call, or refused: IdempotentParameterMismatch",
        Assumed,
        "a new copy breaks the promise if the order of tags ever changes; the courier sends them in one order"
    ),
    assumption!(
        failed_copy::is_a_bad_key_noticed_only_after_the_call,
        Nothing,
        "Is a KMS key that does not exist noticed only after CopyImage has succeeded?",
        "CopyImage succeeds",
        Reported,
        "better: the courier rejects the AMI at once, with EC2's words"
    ),
    assumption!(
        failed_copy::which_state_has_a_failed_copy,
        Nothing,
        "What state does a failed copy have?",
        "failed",
        Documented,
        "the courier does not recognize a failed copy and makes no next try"
    ),
    assumption!(
        failed_copy::does_a_snapshot_say_why_its_copy_failed,
        Nothing,
        "Does a snapshot of a failed copy say that the key was the reason?",
        "the StateMessage names the key",
        Reported,
        "the operator gets only EC2's general reason in the dead letter"
    ),
    assumption!(
        tokens::what_does_a_token_answer_once_its_copy_has_failed,
        Nothing,
        "What does a client token answer once its copy has failed?",
        "the id of the first call, or refused",
        Assumed,
        "a new copy under a token that is used up: the courier's next try could be a second copy"
    ),
    assumption!(
        failed_copy::does_ec2_send_an_event_when_a_copy_is_available,
        Nothing,
        "Does EC2 send an event when a copy is available?",
        "an event with State available",
        Documented,
        "the copy is finished only by the next sweep; without a sweep, it stays unfinished"
    ),
    assumption!(
        failed_copy::does_ec2_send_an_event_when_a_copy_has_failed,
        Nothing,
        "Does EC2 send an event when a copy has failed?",
        "an event with State failed",
        Documented,
        "the next sweep finds the failed copy and makes the next try; without a sweep, nobody does"
    ),
    assumption!(
        failed_copy::does_the_event_of_a_failed_copy_say_why,
        Nothing,
        "Does the event of a failed copy say why?",
        "an ErrorMessage",
        Documented,
        "none: the courier reads the reason from the AMI and its snapshots"
    ),
    assumption!(
        copies::does_a_copy_name_its_source,
        Nothing,
        "Does a copy name its source?",
        "yes: SourceImageId and SourceImageRegion",
        Documented,
        "the courier does not find copies that others made, and its first look finds nothing"
    ),
    assumption!(
        copies::does_an_available_copy_show_its_snapshot_ids_and_encryption,
        Nothing,
        "Does an available copy show its snapshot ids, and whether they are encrypted?",
        "yes",
        Assumed,
        "the courier cannot share the snapshots, and cannot check the encryption of a copy"
    ),
    assumption!(
        copies::does_a_copy_keep_blank_volumes,
        Nothing,
        "Does a copy keep a volume without a snapshot as it is?",
        "yes: a volume without a snapshot",
        Assumed,
        "none for the promise; instances of the copy have other volumes than those of the source"
    ),
    assumption!(
        copies::does_copy_image_copy_shared_tags_unasked,
        Nothing,
        "Does CopyImage without `CopyImageTags` copy tags `ec2:SharedTag/…`?",
        "yes, or no",
        Assumed,
        "none: the courier puts the tags of the source on the copy itself"
    ),
    assumption!(
        retired::is_a_disabled_ami_hidden_unless_asked_for,
        Nothing,
        "Is a disabled AMI hidden, unless `IncludeDisabled` is set?",
        "hidden; with IncludeDisabled state disabled",
        Documented,
        "if it is hidden even then, the courier makes a second copy of its source"
    ),
    assumption!(
        retired::is_an_enabled_ami_available_again,
        Nothing,
        "Is a disabled AMI available again after EnableImage?",
        "state available",
        Documented,
        "a copy stays out of service after its source is enabled again"
    ),
    assumption!(
        retired::are_the_snapshots_deleted_with_their_ami,
        Nothing,
        "Does DeregisterImage with `DeleteAssociatedSnapshots` delete the snapshots of a copy?",
        "success",
        Documented,
        "snapshots stay behind after retirement; the outcome names them"
    ),
    assumption!(
        tokens::what_does_a_token_answer_once_its_ami_is_deregistered,
        Nothing,
        "What does a client token answer once its AMI is deregistered?",
        "the id of the first call, or refused",
        Assumed,
        "a new copy under a token that is used up: the courier's next try could be a second copy"
    ),
    assumption!(
        tokens::what_does_a_token_answer_a_minute_after_its_ami_was_deregistered,
        Nothing,
        "What does it answer a minute later?",
        "the id of the first call, or refused",
        Assumed,
        "a new copy under a token that is used up: the courier's next try could be a second copy"
    ),
    assumption!(
        retired::how_does_a_deregistered_ami_look_by_id,
        Nothing,
        "What does DescribeImages return for a deregistered AMI, within five minutes?",
        "not as a live AMI",
        Documented,
        "the courier takes a dead copy for a live one, and its source is not copied until the AMI is seen dead"
    ),
    assumption!(
        retired::does_a_usage_report_become_available,
        Nothing,
        "Does an image usage report become available within an hour?",
        "available",
        Assumed,
        "retirement waits longer: without a fresh report the courier keeps a shared copy"
    ),
    assumption!(
        permissions::is_each_call_of_the_courier_allowed_to_its_role,
        ARole,
        "Does the policy of the template allow each call of a copy's life?",
        "yes: each of 30 calls",
        Assumed,
        "the courier cannot make this call: a rejected message, or a copy that stays unfinished"
    ),
    assumption!(
        permissions::is_each_other_call_refused_to_the_role,
        ARole,
        "Does the policy of the template refuse what the courier never does?",
        "refused: each of 4 calls",
        Documented,
        "none for the promise: the function could do more than docs/security.md says"
    ),
    assumption!(
        tokens::is_a_token_remembered_for_a_day,
        ADay,
        "Is a client token remembered for a day?",
        "the id of the first call",
        Assumed,
        "the promise is broken: a message that is delivered again within the token's epoch makes a second copy"
    ),
    assumption!(
        tokens::what_does_a_token_answer_a_day_after_its_ami_was_deregistered,
        ADay,
        "What does a client token answer a day after its AMI was deregistered?",
        "the id of the first call, or refused, or a new copy",
        Assumed,
        "none: the courier needs no token for longer than a day"
    ),
    assumption!(
        retired::how_does_a_deregistered_ami_look_a_day_later,
        ADay,
        "What does DescribeImages return for a deregistered AMI a day later?",
        "not as a live AMI",
        Reported,
        "the courier takes a dead copy for a live one"
    ),
];

/// The assumptions as a Markdown table: the part of `docs/assumptions.md` that is generated.
#[must_use]
pub fn markdown() -> String {
    let head =
        ["| question | expected | basis | if AWS does otherwise | name |", "|---|---|---|---|---|"].map(str::to_owned);
    let rows = ASSUMPTIONS.iter().map(|assumption| {
        let Assumption { name, question, expected, basis, otherwise, needs, .. } = assumption;
        let basis = basis.as_str();
        let option = match needs {
            Needs::Nothing => "",
            Needs::ARole => " (`--permissions`)",
            Needs::ADay => " (`--long`)",
        };
        format!("| {question}{option} | {expected} | {basis} | {otherwise} | `{name}` |")
    });
    head.into_iter().chain(rows).map(|line| line + "\n").collect()
}
