//! What the courier assumes of AWS: the one list. `docs/assumptions.md` shows it, the probe asks it, and the gate asks the embedded
//! AWS the same.

use crate::aws::BoxFuture;
use crate::lab::Lab;
use crate::questions::{Answer, copies, failed_copy, parameters, permissions, retired, tokens};

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
    pub fn expects(&self, seen: &str) -> bool {
        self.expected.split(", or ").any(|expected| seen.starts_with(expected))
    }
}

macro_rules! assumptions {
    ($($module:ident::$name:ident, $needs:ident, $basis:ident: $question:literal => $expected:literal, else $otherwise:literal;)*) => {
        &[$(Assumption {
            name: stringify!($name),
            question: $question,
            expected: $expected,
            basis: Basis::$basis,
            otherwise: $otherwise,
            needs: Needs::$needs,
            ask: |lab| Box::pin($module::$name(lab)),
        }),*]
    };
}

/// Every assumption, in the order in which the probe asks: what takes a day comes last.
pub const ASSUMPTIONS: &[Assumption] = assumptions! {
    copies::does_ec2_accept_a_shared_tag_on_an_image, Nothing, Documented:
        "Does EC2 accept a tag `ec2:SharedTag/…` on an AMI?" => "accepted",
        else "`REQUIRED_TAGS` cannot select AMIs of other accounts: these have no tags that the courier can see";
    copies::is_a_shared_tag_on_a_snapshot_refused, Nothing, Documented:
        "Is a tag `ec2:SharedTag/…` on a snapshot refused?" => "refused",
        else "none: the courier never puts such a tag on a snapshot";
    copies::does_a_registered_ami_name_no_source, Nothing, Documented:
        "Does a registered AMI have no `SourceImageId`?" => "yes: it has no SourceImageId",
        else "the courier could take an AMI for a copy of another AMI";
    copies::how_long_until_a_copy_is_visible_by_id, Nothing, Assumed:
        "How long until a new copy is visible by id?" => "within 15 minutes",
        else "the second look comes too early: the courier could make a second copy of one AMI";
    copies::how_long_until_a_copy_is_visible_by_its_source, Nothing, Assumed:
        "How long until a new copy is visible by `source-image-id`?" => "within 15 minutes",
        else "the second look comes too early: the courier could make a second copy of one AMI";
    copies::how_long_until_a_copy_is_visible_by_its_name, Nothing, Assumed:
        "How long until a new copy is visible by name?" => "within 15 minutes",
        else "after `InvalidAMIName.Duplicate` the courier retries for longer";
    copies::does_a_pending_copy_show_its_snapshot_ids, Nothing, Reported:
        "Does a pending copy show its snapshot ids?" => "yes, or no",
        else "none: the courier judges a copy only once it is available";
    copies::does_copy_image_accept_a_taken_name, Nothing, Reported:
        "Does CopyImage accept a name that another AMI has?" => "accepted",
        else "two source AMIs with one `COPY_NAME` cannot both be copied: the courier rejects the second and names the AMI that has the name";
    tokens::does_the_same_token_make_nothing_further, Nothing, Documented:
        "Does the same client token with the same parameters make nothing further?" => "the id of the first call",
        else "the promise is broken: two calls at the same time make two copies of one AMI";
    tokens::is_the_same_token_with_other_parameters_refused, Nothing, Documented:
        "Is the same client token with other parameters refused?" => "refused: IdempotentParameterMismatch",
        else "a new copy breaks the promise if the settings change between two calls; the id of the first call does not";
    tokens::what_does_a_token_answer_with_tags_in_another_order, Nothing, Assumed:
        "What does a client token answer with the same tags in another order?" => "the id of the first call, or refused: IdempotentParameterMismatch",
        else "a new copy breaks the promise if the order of tags ever changes; the courier sends them in one order";
    failed_copy::is_a_bad_key_noticed_only_after_the_call, Nothing, Reported:
        "Is a KMS key that does not exist noticed only after CopyImage has succeeded?" => "CopyImage succeeds",
        else "better: the courier rejects the AMI at once, with EC2's words";
    failed_copy::which_state_has_a_failed_copy, Nothing, Documented:
        "What state does a failed copy have?" => "failed",
        else "the courier does not recognize a failed copy and makes no next try";
    failed_copy::does_a_snapshot_say_why_its_copy_failed, Nothing, Reported:
        "Does a snapshot of a failed copy say that the key was the reason?" => "the StateMessage names the key",
        else "the operator gets only EC2's general reason in the dead letter";
    tokens::what_does_a_token_answer_once_its_copy_has_failed, Nothing, Assumed:
        "What does a client token answer once its copy has failed?" => "the id of the first call, or refused",
        else "a new copy under a token that is used up: the courier's next try could be a second copy";
    failed_copy::does_ec2_send_an_event_when_a_copy_is_available, Nothing, Documented:
        "Does EC2 send an event when a copy is available?" => "an event with State available",
        else "the copy is finished only by the next sweep; without a sweep, it stays unfinished";
    failed_copy::does_ec2_send_an_event_when_a_copy_has_failed, Nothing, Documented:
        "Does EC2 send an event when a copy has failed?" => "an event with State failed",
        else "the next sweep finds the failed copy and makes the next try; without a sweep, nobody does";
    failed_copy::does_the_event_of_a_failed_copy_say_why, Nothing, Documented:
        "Does the event of a failed copy say why?" => "an ErrorMessage",
        else "none: the courier reads the reason from the AMI and its snapshots";
    copies::does_a_copy_name_its_source, Nothing, Documented:
        "Does a copy name its source?" => "yes: SourceImageId and SourceImageRegion",
        else "the courier does not find copies that others made, and its first look finds nothing";
    copies::does_an_available_copy_show_its_snapshot_ids_and_encryption, Nothing, Assumed:
        "Does an available copy show its snapshot ids, and whether they are encrypted?" => "yes",
        else "the courier cannot share the snapshots, and cannot check the encryption of a copy";
    copies::does_a_copy_keep_blank_volumes, Nothing, Assumed:
        "Does a copy keep a volume without a snapshot as it is?" => "yes: a volume without a snapshot",
        else "none for the promise; instances of the copy have other volumes than those of the source";
    copies::does_copy_image_copy_shared_tags_unasked, Nothing, Assumed:
        "Does CopyImage without `CopyImageTags` copy tags `ec2:SharedTag/…`?" => "yes, or no",
        else "none: the courier puts the tags of the source on the copy itself";
    retired::is_a_disabled_ami_hidden_unless_asked_for, Nothing, Documented:
        "Is a disabled AMI hidden, unless `IncludeDisabled` is set?" => "hidden; with IncludeDisabled state disabled",
        else "if it is hidden even then, the courier makes a second copy of its source";
    retired::is_an_enabled_ami_available_again, Nothing, Documented:
        "Is a disabled AMI available again after EnableImage?" => "state available",
        else "a copy stays out of service after its source is enabled again";
    retired::are_the_snapshots_deleted_with_their_ami, Nothing, Documented:
        "Does DeregisterImage with `DeleteAssociatedSnapshots` delete the snapshots of a copy?" => "success",
        else "snapshots stay behind after retirement; the outcome names them";
    tokens::what_does_a_token_answer_once_its_ami_is_deregistered, Nothing, Assumed:
        "What does a client token answer once its AMI is deregistered?" => "the id of the first call, or refused",
        else "a new copy under a token that is used up: the courier's next try could be a second copy";
    tokens::what_does_a_token_answer_a_minute_after_its_ami_was_deregistered, Nothing, Assumed:
        "What does it answer a minute later?" => "the id of the first call, or refused",
        else "a new copy under a token that is used up: the courier's next try could be a second copy";
    retired::how_does_a_deregistered_ami_look_by_id, Nothing, Documented:
        "What does DescribeImages return for a deregistered AMI, within five minutes?" => "not as a live AMI",
        else "the courier takes a dead copy for a live one, and its source is not copied until the AMI is seen dead";
    retired::does_a_usage_report_take_the_four_types, Nothing, Documented:
        "Does CreateImageUsageReport take all four resource types, with all versions of launch templates?" => "accepted",
        else "the report is about instances and launch templates alone: the courier keeps a shared copy";
    retired::does_a_usage_report_become_available, Nothing, Assumed:
        "Does an image usage report become available within an hour?" => "available",
        else "retirement waits longer: without a fresh report the courier keeps a shared copy";
    parameters::does_the_event_of_a_parameter_name_its_data_type, Nothing, Assumed:
        "Does the event of a parameter's change name its data type?" => "an event with dataType, or an event without",
        else "without an event, the AMI in the parameter is copied only when a sweep finds it";
    parameters::is_an_ami_in_a_text_parameter_refused, Nothing, Documented:
        "Does PutParameter refuse the data type `aws:ec2:image` for a parameter of type `text`?" => "refused",
        else "the courier rejects a copy that could be published: it looks at the data type before it writes";
    permissions::is_each_call_of_the_courier_allowed_to_its_role, ARole, Assumed:
        "Does the policy of the template allow each call of a copy's life?" => "yes: each of 30 calls",
        else "the courier cannot make this call: a rejected message, or a copy that stays unfinished";
    permissions::is_each_other_call_refused_to_the_role, ARole, Documented:
        "Does the policy of the template refuse what the courier never does?" => "refused: each of 4 calls",
        else "none for the promise: the function could do more than docs/security.md says";
    tokens::is_a_token_remembered_for_a_day, ADay, Assumed:
        "Is a client token remembered for a day?" => "the id of the first call",
        else "the promise is broken: a message that is delivered again within the token's epoch makes a second copy";
    tokens::what_does_a_token_answer_a_day_after_its_ami_was_deregistered, ADay, Assumed:
        "What does a client token answer a day after its AMI was deregistered?" => "the id of the first call, or refused, or a new copy",
        else "none: the courier needs no token for longer than a day";
    retired::how_does_a_deregistered_ami_look_a_day_later, ADay, Reported:
        "What does DescribeImages return for a deregistered AMI a day later?" => "not as a live AMI",
        else "the courier takes a dead copy for a live one";
};

/// The assumptions as a Markdown table: the part of `docs/assumptions.md` that is generated.
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
