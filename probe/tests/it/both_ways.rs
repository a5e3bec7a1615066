//! Each question is answered rightly, whether AWS does what we assume or not.

use std::collections::BTreeSet;
use std::time::Duration;

use local::aws::{
    Behaviour, Fault, HiddenAs, Image, ImageState, SnapshotDeletion, SnapshotIdsAt, TokenOfDeadImage, TokensCompare,
    World,
};
use probe::assumption::ASSUMPTIONS;
use probe::run::Verdict;

use super::stage::{REGION, SOURCE_REGION, Stage, Trick, question};

const HOUR: Duration = Duration::from_secs(60 * 60);
const SAME_ID: &str = "the id of the first call";
const NEW: &str = "a new copy";
const NO_EVENT: &str = "no event within 10 minutes";

/// Some worlds, and the answer to a question in each.
struct Cases {
    question: &'static str,
    cases: Vec<Case>,
}

struct Case {
    world: fn(&mut World),
    trick: Option<Trick>,
    verdict: Verdict,
    /// What the answer contains.
    seen: &'static str,
}

fn of(question: &'static str) -> Cases {
    Cases { question, cases: Vec::new() }
}

impl Cases {
    fn case(mut self, world: fn(&mut World), trick: Option<Trick>, verdict: Verdict, seen: &'static str) -> Self {
        self.cases.push(Case { world, trick, verdict, seen });
        self
    }

    fn usual(self, seen: &'static str) -> Self {
        self.same(|_| {}, seen)
    }

    fn same(self, world: fn(&mut World), seen: &'static str) -> Self {
        self.case(world, None, Verdict::AsExpected, seen)
    }

    fn different(self, world: fn(&mut World), seen: &'static str) -> Self {
        self.case(world, None, Verdict::Different, seen)
    }

    fn unanswered(self, world: fn(&mut World), seen: &'static str) -> Self {
        self.case(world, None, Verdict::Unanswered, seen)
    }

    /// The world is changed behind EC2's back.
    fn tricked(self, trick: Trick, seen: &'static str) -> Self {
        self.case(|_| {}, Some(trick), Verdict::Different, seen)
    }
}

fn for_each_image(world: &mut World, region: &str, change: fn(&mut Image)) {
    for image in world.images(region) {
        world.image_mut(region, &image.id).into_iter().for_each(change);
    }
}

fn hide(world: &mut World, minutes: u64) {
    world.behaviour.hide_new_images_for(Duration::from_secs(minutes * 60));
}

fn invisible_by_filter(world: &mut World) {
    world.behaviour.invisible_by_filter_for = HOUR;
}

fn forgetful(world: &mut World) {
    world.behaviour.tokens_remembered_for = Some(Duration::ZERO);
}

fn dead_tokens_are_errors(world: &mut World) {
    world.behaviour.token_of_dead_image = TokenOfDeadImage::Error;
}

fn without_events(world: &mut World) {
    world.behaviour.events = false;
}

fn refuse_recipes(world: &mut World) {
    world.behaviour.usage_reports_refuse = ["imagebuilder:ImageRecipe".to_owned()].into();
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

fn deny_some_of_ec2(world: &mut World) {
    for action in ["ModifySnapshotAttribute", "EnableImage"] {
        world.fault(Fault::on(action).error(403, "UnauthorizedOperation", "You are not authorized"));
    }
}

fn deny_some_of_the_others(world: &mut World) {
    world.fault(denied("SendMessage").naming("-dead-letters"));
    world.fault(denied("PutParameter"));
    world.fault(denied("GetParameter").in_region(SOURCE_REGION));
    world.fault(denied("PutEvents"));
}

fn forget_at_once(world: &mut World) {
    world.behaviour.deregistered_returned_for = Duration::ZERO;
    world.behaviour.deregistered_empty_for = Duration::ZERO;
    world.behaviour.forgotten_as = HiddenAs::Unavailable;
}

fn weakest(world: &mut World) {
    world.behaviour = Behaviour { copy_duration: Duration::from_secs(60), ..Behaviour::weakest() };
}

fn fail_without_a_reason(image: &mut Image) {
    if image.state == ImageState::Failed {
        image.state = ImageState::Error;
        image.state_reason = None;
    }
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Cases> {
    vec![
        of("does_ec2_accept_a_shared_tag_on_an_image")
            .usual("accepted")
            .different(|world| world.behaviour.shared_tags_on_images = false, "refused: InvalidParameterValue"),
        of("is_a_shared_tag_on_a_snapshot_refused")
            .usual("refused: InvalidParameterValue")
            .different(|world| world.behaviour.shared_tags_on_snapshots = true, "accepted"),
        of("does_a_registered_ami_name_no_source").usual("it has no SourceImageId").tricked(
            |world| for_each_image(world, SOURCE_REGION, |it| it.source_image_id = Some("ami-00000001".to_owned())),
            "no: it has one",
        ),
        of("how_long_until_a_copy_is_visible_by_id")
            .usual("3 copies after 0.0, 0.0, 0.0 s")
            .same(|world| hide(world, 15), "within 15 minutes: 3 copies after 900.0, 900.0, 900.0 s")
            .different(|world| hide(world, 17), "later than 15 minutes: 3 copies after 10")
            .unanswered(|world| hide(world, 30), "not visible"),
        of("how_long_until_a_copy_is_visible_by_its_source")
            .same(|world| hide(world, 15), "3 copies after 900.0, 900.0, 900.0 s")
            .different(invisible_by_filter, "3 not visible at all"),
        of("how_long_until_a_copy_is_visible_by_its_name")
            .usual("3 copies after 0.0, 0.0, 0.0 s")
            .different(invisible_by_filter, "3 not visible at all"),
        of("does_a_pending_copy_show_its_snapshot_ids")
            .usual("yes: 3 of 3 do")
            .same(|world| world.behaviour.snapshot_ids_at = SnapshotIdsAt::End, "no"),
        of("does_copy_image_accept_a_taken_name").usual("two AMIs have the same name").different(
            |world| world.behaviour.copy_image_refuses_taken_names = true,
            "refused: InvalidAMIName.Duplicate",
        ),
        of("does_the_same_token_make_nothing_further").usual(SAME_ID).different(forgetful, NEW),
        of("is_the_same_token_with_other_parameters_refused")
            .usual("refused: IdempotentParameterMismatch")
            .different(|world| world.behaviour.tokens_compare = TokensCompare::Nothing, SAME_ID)
            .different(forgetful, NEW),
        of("what_does_a_token_answer_with_tags_in_another_order")
            .usual("refused: IdempotentParameterMismatch")
            .same(
                |world| world.behaviour.tokens_compare = TokensCompare::EveryParameterButTheOrderOfTags,
                SAME_ID,
            )
            .different(forgetful, NEW),
        of("is_a_bad_key_noticed_only_after_the_call")
            .usual("CopyImage succeeds")
            .different(|world| world.behaviour.copy_image_checks_keys = true, "refused: InvalidKmsKeyId.NotFound"),
        of("which_state_has_a_failed_copy")
            .usual("failed, reason: ")
            .tricked(|world| for_each_image(world, REGION, fail_without_a_reason), "error, without a reason"),
        of("does_a_snapshot_say_why_its_copy_failed")
            .usual("the StateMessage names the key: Given key ID is not accessible")
            .tricked(
                |world| for_each_image(world, REGION, |it| it.snapshots.iter_mut().for_each(|it| it.state_message = None)),
                "no StateMessage",
            )
            .different(|world| world.behaviour.snapshot_ids_at = SnapshotIdsAt::Never, "shows no snapshot ids"),
        of("what_does_a_token_answer_once_its_copy_has_failed")
            .usual(SAME_ID)
            .same(dead_tokens_are_errors, "refused: IdempotentInstanceTerminated")
            .different(forgetful, NEW),
        of("does_ec2_send_an_event_when_a_copy_is_available")
            .usual("an event with State available")
            .same(|world| hide(world, 17), "an event with State available")
            .different(without_events, NO_EVENT),
        of("does_ec2_send_an_event_when_a_copy_has_failed")
            .usual("an event with State failed")
            .different(without_events, NO_EVENT)
            .unanswered(|world| world.behaviour.copy_image_checks_keys = true, "refused: InvalidKmsKeyId.NotFound"),
        of("does_the_event_of_a_failed_copy_say_why")
            .usual("an ErrorMessage: Copy image failed")
            .different(|world| world.behaviour.events_name_the_reason = false, "the event has no ErrorMessage")
            .different(without_events, NO_EVENT),
        of("does_a_copy_name_its_source")
            .usual("SourceImageId and SourceImageRegion")
            .tricked(|world| for_each_image(world, REGION, |it| it.source_image_region = None), "only SourceImageId"),
        of("does_an_available_copy_show_its_snapshot_ids_and_encryption")
            .usual("yes")
            .different(|world| world.behaviour.snapshot_ids_at = SnapshotIdsAt::Never, "no snapshot ids"),
        of("does_a_copy_keep_blank_volumes")
            .usual("a volume without a snapshot")
            .tricked(|world| for_each_image(world, REGION, |it| it.blank_volumes.clear()), "the blank volume is missing"),
        of("does_copy_image_copy_shared_tags_unasked")
            .usual("no")
            .same(|world| world.behaviour.copies_have_shared_tags = true, "yes"),
        of("is_a_disabled_ami_hidden_unless_asked_for")
            .usual("hidden; with IncludeDisabled state disabled (without it an empty answer)")
            .different(
                |world| world.behaviour.disabled_images_are_shown_if_asked_for = false,
                "with IncludeDisabled an empty answer",
            ),
        of("is_an_enabled_ami_available_again").usual("state available").unanswered(
            |world| world.fault(Fault::on("EnableImage").error(400, "OperationNotPermitted", "not here")),
            "refused: OperationNotPermitted",
        ),
        of("are_the_snapshots_deleted_with_their_ami").usual("success").different(
            |world| world.behaviour.snapshot_deletion = SnapshotDeletion::MissingPermissions,
            "missing-permissions",
        ),
        of("what_does_a_token_answer_once_its_ami_is_deregistered")
            .usual(SAME_ID)
            .same(dead_tokens_are_errors, "refused: IdempotentInstanceTerminated")
            .different(forgetful, NEW),
        of("what_does_a_token_answer_a_minute_after_its_ami_was_deregistered").usual(SAME_ID).different(forgetful, NEW),
        of("how_does_a_deregistered_ami_look_by_id")
            .usual("not as a live AMI: state deregistered (at once), then an empty answer (1 min)")
            .same(weakest, "InvalidAMIID.NotFound (at once)")
            .same(forget_at_once, "InvalidAMIID.Unavailable (at once)"),
        of("does_a_usage_report_take_the_four_types")
            .usual("accepted")
            .different(refuse_recipes, "refused: InvalidParameterValue"),
        of("does_a_usage_report_become_available")
            .same(refuse_recipes, "available after 600 s")
            .usual("available after 600 s")
            .different(|world| world.behaviour.usage_report_error = Some("no".to_owned()), "error after 600 s")
            .different(|world| world.behaviour.usage_report_duration = 2 * HOUR, "pending after 3600 s"),
        of("does_the_event_of_a_parameter_name_its_data_type")
            .usual("an event with dataType")
            .same(|world| world.behaviour.parameter_events_name_the_data_type = false, "an event without dataType")
            .different(without_events, NO_EVENT),
        of("is_an_ami_in_a_text_parameter_refused")
            .usual("refused: ValidationException")
            .different(|world| world.behaviour.parameters_change_data_type = true, "accepted"),
        of("is_each_call_of_the_courier_allowed_to_its_role")
            .usual("yes: each of 30 calls")
            .different(
                deny_some_of_ec2,
                "2 of 30 calls refused: ModifySnapshotAttribute (UnauthorizedOperation), EnableImage (UnauthorizedOperation)",
            )
            .different(
                deny_some_of_the_others,
                "4 of 30 calls refused: SendMessage to the dead-letter queue (AccessDeniedException), \
                 PutParameter (AccessDeniedException), GetParameter in the source Region (AccessDeniedException), \
                 PutEvents (AccessDeniedException)",
            ),
        of("is_each_other_call_refused_to_the_role").same(deny_the_rest, "refused: each of 4 calls").different(
            |_| {},
            "4 of 4 calls allowed: CreateTags on the source AMI, ReceiveMessage from the dead-letter queue, \
             GetParameter, PutEvents of another source",
        ),
        of("is_a_token_remembered_for_a_day")
            .usual(SAME_ID)
            .different(|world| world.behaviour.tokens_remembered_for = Some(23 * HOUR), NEW),
        of("what_does_a_token_answer_a_day_after_its_ami_was_deregistered")
            .usual(SAME_ID)
            .same(|world| world.behaviour.tokens_remembered_for = Some(24 * HOUR), NEW),
        of("how_does_a_deregistered_ami_look_a_day_later")
            .usual("not as a live AMI: InvalidAMIID.NotFound")
            .same(|world| world.behaviour.deregistered_empty_for = 48 * HOUR, "an empty answer"),
    ]
}

#[tokio::test]
async fn each_question_is_answered_rightly_both_ways_and_nothing_is_left() {
    let mut wrong = Vec::new();
    for Cases { question: name, cases } in cases() {
        for case in cases {
            let stage = Stage::new().await.with(case.world).trick(case.trick);
            let before = stage.inventory();
            let answers = stage.ask(3, &[question(name)]).await;
            let (verdict, seen) = (answers[0].verdict(), answers[0].seen());
            if verdict != case.verdict || !seen.contains(case.seen) {
                wrong.push(format!("{name}: {verdict:?}, {seen}; not {:?}, {}", case.verdict, case.seen));
            }
            assert_eq!(stage.inventory(), before, "{name} left something behind");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_question_has_a_case_for_each_way() {
    let cases = cases();
    for assumption in ASSUMPTIONS {
        let of_question = cases.iter().filter(|it| it.question == assumption.name).flat_map(|it| &it.cases);
        let seen: BTreeSet<&str> = of_question.map(|case| case.seen).collect();
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
            assert_eq!(
                answered.verdict(),
                Verdict::AsExpected,
                "{}: {}",
                answered.assumption.question,
                answered.seen()
            );
        }
        assert!(stage.inventory().is_empty(), "{:?}", stage.inventory());
    }
}
