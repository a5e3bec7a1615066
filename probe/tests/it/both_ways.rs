//! Each question is answered rightly, whether AWS does what we assume or not.

use std::collections::BTreeSet;
use std::time::Duration;

use local::aws::{
    Behaviour, Fault, HiddenAs, ImageState, SnapshotDeletion, SnapshotIdsAt, TokenOfDeadImage, TokensCompare, World,
};
use probe::assumption::ASSUMPTIONS;
use probe::run::Verdict;

use super::stage::{REGION, SOURCE_REGION, Stage, Trick, question};

const AS_EXPECTED: Verdict = Verdict::AsExpected;
const DIFFERENT: Verdict = Verdict::Different;
const HOUR: u64 = 60 * 60;

/// A world, and the answer to a question there.
struct Case {
    question: &'static str,
    world: fn(&mut World),
    trick: Option<Trick>,
    verdict: Verdict,
    /// What the answer contains.
    seen: &'static str,
}

const fn case(question: &'static str, world: fn(&mut World), verdict: Verdict, seen: &'static str) -> Case {
    Case { question, world, trick: None, verdict, seen }
}

const fn tricked(question: &'static str, trick: Trick, verdict: Verdict, seen: &'static str) -> Case {
    Case { question, world: |_| {}, trick: Some(trick), verdict, seen }
}

fn refuses(action: &str, world: &mut World) {
    world.fault(Fault::on(action).in_region(REGION).error(400, "OperationNotPermitted", "not here"));
}

fn for_each_copy(world: &mut World, change: fn(&mut local::aws::Image)) {
    for image in world.images(REGION) {
        world.image_mut(REGION, &image.id).into_iter().for_each(change);
    }
}

fn hide(world: &mut World, minutes: u64) {
    world.behaviour.hide_new_images_for(Duration::from_secs(minutes * 60));
}

const DEAD_ID: &str = "the id of the dead AMI";
const DEAD_ERROR: &str = "refused: IdempotentInstanceTerminated";
const NEW: &str = "a new copy";

fn dead_tokens_are_errors(world: &mut World) {
    world.behaviour.token_of_dead_image = TokenOfDeadImage::Error;
}

fn tokens_are_forgotten(world: &mut World) {
    world.behaviour.tokens_remembered_for = Some(Duration::ZERO);
}

fn without_events(world: &mut World) {
    world.behaviour.events = false;
}

fn denied(action: &str) -> Fault {
    Fault::on(action).error(400, "AccessDeniedException", "User is not authorized")
}

/// What IAM would do, which judges nothing in the embedded AWS. `tests/stack/test_probe.py` proves that the policy refuses these calls.
fn deny_the_rest(world: &mut World) {
    let mark = Fault::on("CreateTags").in_region(SOURCE_REGION).naming("ami-courier:finished");
    world.fault(mark.error(403, "UnauthorizedOperation", "You are not authorized"));
    world.fault(denied("ReceiveMessage").naming("-dead-letters"));
    world.fault(denied("GetParameter").naming("/ami-courier-elsewhere"));
    world.fault(denied("PutEvents").naming("\"ami-courier-probe\""));
}

const CASES: &[Case] = &[
    case("does_ec2_accept_a_shared_tag_on_an_image", |_| {}, AS_EXPECTED, "accepted"),
    case(
        "does_ec2_accept_a_shared_tag_on_an_image",
        |world| world.behaviour.shared_tags_on_images = false,
        DIFFERENT,
        "refused: InvalidParameterValue",
    ),
    case("is_a_shared_tag_on_a_snapshot_refused", |_| {}, AS_EXPECTED, "refused: InvalidParameterValue"),
    case(
        "is_a_shared_tag_on_a_snapshot_refused",
        |world| world.behaviour.shared_tags_on_snapshots = true,
        DIFFERENT,
        "accepted",
    ),
    case("does_a_registered_ami_name_no_source", |_| {}, AS_EXPECTED, "it has no SourceImageId"),
    tricked(
        "does_a_registered_ami_name_no_source",
        |world| {
            for image in world.images(SOURCE_REGION) {
                let image = world.image_mut(SOURCE_REGION, &image.id).expect("it exists");
                image.source_image_id = Some("ami-00000001".to_owned());
            }
        },
        DIFFERENT,
        "it has a SourceImageId",
    ),
    case("how_long_until_a_copy_is_visible_by_id", |_| {}, AS_EXPECTED, "the last after 0.0 s"),
    case("how_long_until_a_copy_is_visible_by_id", |world| hide(world, 15), AS_EXPECTED, "the last after 900.0 s"),
    case(
        "how_long_until_a_copy_is_visible_by_id",
        |world| hide(world, 17),
        DIFFERENT,
        "3 copies: half of them after 10",
    ),
    case("how_long_until_a_copy_is_visible_by_id", |world| hide(world, 30), Verdict::Unanswered, "not visible"),
    case("how_long_until_a_copy_is_visible_by_its_source", |world| hide(world, 15), AS_EXPECTED, "900.0 s"),
    case(
        "how_long_until_a_copy_is_visible_by_its_source",
        |world| world.behaviour.invisible_by_filter_for = Duration::from_secs(HOUR),
        DIFFERENT,
        "3 not visible at all",
    ),
    case("how_long_until_a_copy_is_visible_by_its_name", |_| {}, AS_EXPECTED, "the last after 0.0 s"),
    case(
        "how_long_until_a_copy_is_visible_by_its_name",
        |world| world.behaviour.invisible_by_filter_for = Duration::from_secs(HOUR),
        DIFFERENT,
        "3 not visible at all",
    ),
    case("does_a_pending_copy_show_its_snapshot_ids", |_| {}, AS_EXPECTED, "yes"),
    case(
        "does_a_pending_copy_show_its_snapshot_ids",
        |world| world.behaviour.snapshot_ids_at = SnapshotIdsAt::End,
        AS_EXPECTED,
        "no",
    ),
    case("does_copy_image_accept_a_taken_name", |_| {}, AS_EXPECTED, "two AMIs have the same name"),
    case(
        "does_copy_image_accept_a_taken_name",
        |world| world.behaviour.copy_image_refuses_taken_names = true,
        DIFFERENT,
        "refused: InvalidAMIName.Duplicate",
    ),
    case("does_the_same_token_make_nothing_further", |_| {}, AS_EXPECTED, "the id of the first call"),
    case("does_the_same_token_make_nothing_further", tokens_are_forgotten, DIFFERENT, NEW),
    case("is_the_same_token_with_other_parameters_refused", |_| {}, AS_EXPECTED, "IdempotentParameterMismatch"),
    case(
        "is_the_same_token_with_other_parameters_refused",
        |world| world.behaviour.tokens_compare = TokensCompare::Nothing,
        DIFFERENT,
        "EC2 ignores the parameters",
    ),
    case("is_the_same_token_with_other_parameters_refused", tokens_are_forgotten, DIFFERENT, NEW),
    case("what_does_a_token_answer_with_tags_in_another_order", |_| {}, AS_EXPECTED, "the order matters"),
    case(
        "what_does_a_token_answer_with_tags_in_another_order",
        |world| world.behaviour.tokens_compare = TokensCompare::EveryParameterButTheOrderOfTags,
        AS_EXPECTED,
        "the order is ignored",
    ),
    case("what_does_a_token_answer_with_tags_in_another_order", tokens_are_forgotten, DIFFERENT, NEW),
    case("is_a_bad_key_noticed_only_after_the_call", |_| {}, AS_EXPECTED, "CopyImage succeeds"),
    case(
        "is_a_bad_key_noticed_only_after_the_call",
        |world| world.behaviour.copy_image_checks_keys = true,
        DIFFERENT,
        "refused: InvalidKmsKeyId.NotFound",
    ),
    case("which_state_has_a_failed_copy", |_| {}, AS_EXPECTED, "failed, reason: "),
    tricked(
        "which_state_has_a_failed_copy",
        |world| {
            for_each_copy(world, |image| {
                if image.state == ImageState::Failed {
                    image.state = ImageState::Error;
                    image.state_reason = None;
                }
            });
        },
        DIFFERENT,
        "error, without a reason",
    ),
    case(
        "does_a_snapshot_say_why_its_copy_failed",
        |_| {},
        AS_EXPECTED,
        "StateMessage: Given key ID is not accessible",
    ),
    tricked(
        "does_a_snapshot_say_why_its_copy_failed",
        |world| for_each_copy(world, |image| image.snapshots.iter_mut().for_each(|it| it.state_message = None)),
        DIFFERENT,
        "no StateMessage",
    ),
    case(
        "does_a_snapshot_say_why_its_copy_failed",
        |world| world.behaviour.snapshot_ids_at = SnapshotIdsAt::Never,
        DIFFERENT,
        "shows no snapshot ids",
    ),
    case("what_does_a_token_answer_once_its_copy_has_failed", |_| {}, AS_EXPECTED, DEAD_ID),
    case("what_does_a_token_answer_once_its_copy_has_failed", dead_tokens_are_errors, AS_EXPECTED, DEAD_ERROR),
    case("what_does_a_token_answer_once_its_copy_has_failed", tokens_are_forgotten, DIFFERENT, NEW),
    case("does_ec2_send_an_event_when_a_copy_is_available", |_| {}, AS_EXPECTED, "State available, 0 s after"),
    case(
        "does_ec2_send_an_event_when_a_copy_is_available",
        |world| {
            hide(world, 17);
            world.behaviour.copy_duration = Duration::from_secs(10 * 60);
        },
        AS_EXPECTED,
        "State available, before DescribeImages",
    ),
    case("does_ec2_send_an_event_when_a_copy_is_available", without_events, DIFFERENT, "no event within 10 minutes"),
    case("does_ec2_send_an_event_when_a_copy_has_failed", |_| {}, AS_EXPECTED, "State failed, 0 s after"),
    case("does_ec2_send_an_event_when_a_copy_has_failed", without_events, DIFFERENT, "no event within 10 minutes"),
    case(
        "does_ec2_send_an_event_when_a_copy_has_failed",
        |world| world.behaviour.copy_image_checks_keys = true,
        Verdict::Unanswered,
        "refused: InvalidKmsKeyId.NotFound",
    ),
    case("does_the_event_of_a_failed_copy_say_why", |_| {}, AS_EXPECTED, "ErrorMessage: Copy image failed"),
    case(
        "does_the_event_of_a_failed_copy_say_why",
        |world| world.behaviour.events_name_the_reason = false,
        DIFFERENT,
        "the event has no ErrorMessage",
    ),
    case("does_the_event_of_a_failed_copy_say_why", without_events, DIFFERENT, "no event within 10 minutes"),
    case("does_a_copy_name_its_source", |_| {}, AS_EXPECTED, "SourceImageId and SourceImageRegion"),
    tricked(
        "does_a_copy_name_its_source",
        |world| for_each_copy(world, |image| image.source_image_region = None),
        DIFFERENT,
        "only SourceImageId",
    ),
    case("does_an_available_copy_show_its_snapshot_ids_and_encryption", |_| {}, AS_EXPECTED, "yes"),
    case(
        "does_an_available_copy_show_its_snapshot_ids_and_encryption",
        |world| world.behaviour.snapshot_ids_at = SnapshotIdsAt::Never,
        DIFFERENT,
        "no snapshot ids",
    ),
    case("does_a_copy_keep_blank_volumes", |_| {}, AS_EXPECTED, "a volume without a snapshot"),
    tricked(
        "does_a_copy_keep_blank_volumes",
        |world| for_each_copy(world, |image| image.blank_volumes.clear()),
        DIFFERENT,
        "the blank volume is missing",
    ),
    case("does_copy_image_copy_shared_tags_unasked", |_| {}, AS_EXPECTED, "no"),
    case(
        "does_copy_image_copy_shared_tags_unasked",
        |world| world.behaviour.copies_have_shared_tags = true,
        AS_EXPECTED,
        "yes",
    ),
    case("is_a_disabled_ami_hidden_unless_asked_for", |_| {}, AS_EXPECTED, "with IncludeDisabled state disabled"),
    case(
        "is_a_disabled_ami_hidden_unless_asked_for",
        |world| world.behaviour.disabled_images_are_shown_if_asked_for = false,
        DIFFERENT,
        "with IncludeDisabled an empty answer",
    ),
    case("is_an_enabled_ami_available_again", |_| {}, AS_EXPECTED, "state available"),
    case(
        "is_an_enabled_ami_available_again",
        |world| refuses("EnableImage", world),
        Verdict::Unanswered,
        "refused: OperationNotPermitted",
    ),
    case("are_the_snapshots_deleted_with_their_ami", |_| {}, AS_EXPECTED, "success"),
    case(
        "are_the_snapshots_deleted_with_their_ami",
        |world| world.behaviour.snapshot_deletion = SnapshotDeletion::MissingPermissions,
        DIFFERENT,
        "missing-permissions",
    ),
    case("what_does_a_token_answer_once_its_ami_is_deregistered", |_| {}, AS_EXPECTED, DEAD_ID),
    case("what_does_a_token_answer_once_its_ami_is_deregistered", dead_tokens_are_errors, AS_EXPECTED, DEAD_ERROR),
    case("what_does_a_token_answer_once_its_ami_is_deregistered", tokens_are_forgotten, DIFFERENT, NEW),
    case("what_does_a_token_answer_a_minute_after_its_ami_was_deregistered", |_| {}, AS_EXPECTED, DEAD_ID),
    case("what_does_a_token_answer_a_minute_after_its_ami_was_deregistered", tokens_are_forgotten, DIFFERENT, NEW),
    case(
        "how_does_a_deregistered_ami_look_by_id",
        |_| {},
        AS_EXPECTED,
        "state deregistered (at once), then an empty answer (1 min)",
    ),
    case(
        "how_does_a_deregistered_ami_look_by_id",
        |world| world.behaviour = Behaviour { copy_duration: Duration::from_secs(60), ..Behaviour::weakest() },
        AS_EXPECTED,
        "InvalidAMIID.NotFound (at once)",
    ),
    case(
        "how_does_a_deregistered_ami_look_by_id",
        |world| {
            world.behaviour.deregistered_returned_for = Duration::ZERO;
            world.behaviour.deregistered_empty_for = Duration::ZERO;
            world.behaviour.forgotten_as = HiddenAs::Unavailable;
        },
        AS_EXPECTED,
        "InvalidAMIID.Unavailable (at once)",
    ),
    case("does_a_usage_report_become_available", |_| {}, AS_EXPECTED, "pending, available after 600 s"),
    case(
        "does_a_usage_report_become_available",
        |world| world.behaviour.usage_report_error = Some("no".to_owned()),
        DIFFERENT,
        "pending, error after 600 s",
    ),
    case(
        "does_a_usage_report_become_available",
        |world| world.behaviour.usage_report_duration = Duration::from_secs(2 * HOUR),
        DIFFERENT,
        "pending after 3600 s",
    ),
    case("is_each_call_of_the_courier_allowed_to_its_role", |_| {}, AS_EXPECTED, "yes: each of 30 calls"),
    case(
        "is_each_call_of_the_courier_allowed_to_its_role",
        |world| {
            for action in ["ModifySnapshotAttribute", "EnableImage"] {
                world.fault(Fault::on(action).error(403, "UnauthorizedOperation", "You are not authorized"));
            }
        },
        DIFFERENT,
        "2 of 30 calls refused: ModifySnapshotAttribute (UnauthorizedOperation), EnableImage (UnauthorizedOperation)",
    ),
    case(
        "is_each_call_of_the_courier_allowed_to_its_role",
        |world| {
            world.fault(denied("SendMessage").naming("-dead-letters"));
            world.fault(denied("PutParameter"));
            world.fault(denied("GetParameter").in_region(SOURCE_REGION));
            world.fault(denied("PutEvents"));
        },
        DIFFERENT,
        "4 of 30 calls refused: SendMessage to the dead-letter queue (AccessDeniedException), PutParameter (AccessDeniedException), \
         GetParameter in the source Region (AccessDeniedException), PutEvents (AccessDeniedException)",
    ),
    case("is_each_other_call_refused_to_the_role", deny_the_rest, AS_EXPECTED, "refused: each of 4 calls"),
    case(
        "is_each_other_call_refused_to_the_role",
        |_| {},
        DIFFERENT,
        "4 of 4 calls allowed: CreateTags on the source AMI, ReceiveMessage from the dead-letter queue, GetParameter, PutEvents of another source",
    ),
    case("is_a_token_remembered_for_a_day", |_| {}, AS_EXPECTED, "the id of the first call"),
    case(
        "is_a_token_remembered_for_a_day",
        |world| world.behaviour.tokens_remembered_for = Some(Duration::from_secs(23 * HOUR)),
        DIFFERENT,
        NEW,
    ),
    case("what_does_a_token_answer_a_day_after_its_ami_was_deregistered", |_| {}, AS_EXPECTED, DEAD_ID),
    case(
        "what_does_a_token_answer_a_day_after_its_ami_was_deregistered",
        |world| world.behaviour.tokens_remembered_for = Some(Duration::from_secs(24 * HOUR)),
        AS_EXPECTED,
        NEW,
    ),
    case("how_does_a_deregistered_ami_look_a_day_later", |_| {}, AS_EXPECTED, "InvalidAMIID.NotFound"),
    case(
        "how_does_a_deregistered_ami_look_a_day_later",
        |world| world.behaviour.deregistered_empty_for = Duration::from_secs(48 * HOUR),
        AS_EXPECTED,
        "an empty answer",
    ),
];

#[tokio::test]
async fn each_question_is_answered_rightly_both_ways_and_nothing_is_left() {
    let mut wrong = Vec::new();
    for case in CASES {
        let stage = Stage::new().await.with(case.world).trick(case.trick);
        let before = stage.inventory();
        let answers = stage.ask(3, &[question(case.question)]).await;
        let (verdict, seen) = (answers[0].verdict(), answers[0].seen());
        if verdict != case.verdict || !seen.contains(case.seen) {
            wrong.push(format!("{}: {verdict:?}, {seen}; not {:?}, {}", case.question, case.verdict, case.seen));
        }
        assert_eq!(stage.inventory(), before, "{} left something behind", case.question);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_question_has_a_case_for_each_way() {
    for assumption in ASSUMPTIONS {
        let seen: BTreeSet<&str> =
            CASES.iter().filter(|case| case.question == assumption.name).map(|case| case.seen).collect();
        assert!(seen.len() >= 2, "{} has only {seen:?}", assumption.name);
    }
}

#[tokio::test]
async fn at_its_kindest_and_at_its_weakest_aws_is_as_we_assume() {
    for behaviour in [Behaviour::default(), Behaviour::weakest()] {
        let stage = Stage::new().await.with(|world| world.behaviour = behaviour).with(deny_the_rest);
        let answers = stage.ask(20, ASSUMPTIONS).await;
        assert_eq!(answers.len(), ASSUMPTIONS.len());
        for answered in &answers {
            assert_eq!(answered.verdict(), AS_EXPECTED, "{}: {}", answered.assumption.question, answered.seen());
        }
        assert!(stage.inventory().is_empty(), "{:?}", stage.inventory());
    }
}
