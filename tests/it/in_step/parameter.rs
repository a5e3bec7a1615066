//! The parameter: promotion is a tag, and so is going back.

use std::sync::Arc;

use local::aws::{Fault, Image, ImageState};
use local::host::Host;
use serde_json::{Value, json};

use super::{
    AMI, HOUR, MINUTE, OLD, announced_by_sweep, copied, copy_of, ec2, events, source, swept, tag, unfinished, untag,
    why_ignored, with,
};
use crate::life::{announced, built, done, ended, finished};
use crate::poller::{Habits, Poller};
use crate::stage::{HERE, Stage, THERE, state_change};

const NEWER: &str = "ami-0abcdef1234567899";
const WITHDRAWN: &str = "ami-courier:withdrawn";
const IMAGE: &str = "aws:ec2:image";
const BY_SOURCE: &str = "ami-courier:withdrawn-source";
const PARAMETER: &str = "ami-courier:parameter";

fn held(stage: &Stage, name: &str) -> Option<String> {
    stage.aws.world().parameter(HERE, name).map(|parameter| parameter.value)
}

fn newer() -> Image {
    built(NEWER, "golden-2", OLD - 60).tag("Channel", "beta")
}

/// Two finished copies of one channel, the older and the newer.
async fn two(stage: Stage) -> (Stage, Host, [String; 2]) {
    let (stage, function, older) = copied(stage.set("PARAMETER_NAME", "/golden/{tag:Channel}"), source()).await;
    stage.aws.world().add_image(THERE, newer());
    let copy = ended(&stage, &function, NEWER).await;
    finished(&function, &copy).await;
    assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&copy));
    stage.aws.world().take_events();
    (stage, function, [older, copy])
}

/// How a change reaches the stack.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Event,
    Sweep,
}

const WAYS: [By; 2] = [By::Event, By::Sweep];

async fn heard(stage: &Stage, function: &Host, by: By) {
    match by {
        By::Event => drop(events(stage, function).await),
        By::Sweep => {
            stage.aws.world().take_events();
            swept(stage, function).await;
        }
    }
}

#[tokio::test]
async fn promotion_is_a_tag_on_the_source_and_rollback_is_the_tag_put_back() {
    for by in WAYS {
        let (stage, function, [older, newer]) = two(Stage::new().await).await;
        tag(&stage, THERE, NEWER, "Channel", "prod");
        heard(&stage, &function, by).await;
        assert_eq!(held(&stage, "/golden/prod").as_ref(), Some(&newer), "{by:?}");
        assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&older), "{by:?}: it has left its old name");
        tag(&stage, THERE, AMI, "Channel", "prod");
        heard(&stage, &function, by).await;
        assert_eq!(held(&stage, "/golden/prod").as_ref(), Some(&newer), "{by:?}: the newest of its name");
        tag(&stage, THERE, NEWER, "Channel", "beta");
        heard(&stage, &function, by).await;
        assert_eq!(held(&stage, "/golden/prod").as_ref(), Some(&older), "{by:?}");
        assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&newer), "{by:?}");
        assert_eq!(announced_by_sweep(&stage, &function).await, 0, "{by:?}");
    }
}

#[tokio::test]
async fn withdrawn_at_the_source_the_image_before_is_published_and_the_tag_taken_off_brings_it_back() {
    for by in WAYS {
        let (stage, function, [older, newer]) = two(Stage::new().await).await;
        tag(&stage, THERE, NEWER, WITHDRAWN, "bad kernel");
        heard(&stage, &function, by).await;
        assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&older), "{by:?}");
        assert!(copy_of(&stage, &newer).tags.contains_key(BY_SOURCE));
        // Cleaned away as usual: absence brings nothing back.
        stage.aws.world().deregister(THERE, NEWER);
        stage.aws.world().advance(HOUR);
        swept(&stage, &function).await;
        assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&older), "{by:?}");
        assert!(stage.aws.world().restore_image(THERE, NEWER));
        untag(&stage, THERE, NEWER, WITHDRAWN);
        heard(&stage, &function, by).await;
        assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&newer), "{by:?}");
        assert!(!copy_of(&stage, &newer).tags.contains_key(BY_SOURCE));
        assert_eq!(announced_by_sweep(&stage, &function).await, 0, "{by:?}");
    }
}

#[tokio::test]
async fn withdrawn_here_alone_by_a_tag_on_the_copy() {
    for by in WAYS {
        let (stage, function, [older, newer]) = two(Stage::new().await).await;
        tag(&stage, HERE, &newer, WITHDRAWN, "");
        heard(&stage, &function, by).await;
        assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&older), "{by:?}");
        untag(&stage, HERE, &newer, WITHDRAWN);
        heard(&stage, &function, by).await;
        assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&newer), "{by:?}");
    }
}

#[tokio::test]
async fn a_disabled_source_withdraws_its_copy_which_is_disabled_half_an_hour_later() {
    for by in WAYS {
        let stage = Stage::new().await.set("RETIRE_WITH_SOURCE", "true");
        let (stage, function, [older, newer]) = two(stage).await;
        ec2(&stage, THERE, "DisableImage", json!({ "ImageId": NEWER }));
        let disabled = state_change(THERE, NEWER, "disabled");
        let look = async || {
            if by == By::Event {
                function.invoke(&disabled).await.map(drop)
            } else {
                stage.sweep(&function).await.map(drop)
            }
        };
        let early = look().await.expect_err("it has just left its parameter").to_string();
        assert!(early.contains("has just left its parameter"), "{early}");
        assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&older), "{by:?}");
        assert_eq!(copy_of(&stage, &newer).state, ImageState::Available);
        stage.aws.world().advance(31 * MINUTE);
        look().await.expect("disabled");
        assert_eq!(copy_of(&stage, &newer).state, ImageState::Disabled, "{by:?}");
        // Enabled again, it is a member again, whatever the setting is by then.
        ec2(&stage, THERE, "EnableImage", json!({ "ImageId": NEWER }));
        stage.aws.world().take_events();
        let function = with(&stage, &[("RETIRE_WITH_SOURCE", "false")]).await;
        for _ in 0..2 {
            swept(&stage, &function).await;
        }
        assert_eq!(copy_of(&stage, &newer).state, ImageState::Available, "{by:?}");
        assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&newer), "{by:?}");
        assert_eq!(announced_by_sweep(&stage, &function).await, 0, "{by:?}");
    }
}

#[tokio::test]
async fn a_disabled_source_withdraws_nothing_without_the_setting() {
    let (stage, function, [_, newer]) = two(Stage::new().await).await;
    ec2(&stage, THERE, "DisableImage", json!({ "ImageId": NEWER }));
    events(&stage, &function).await;
    swept(&stage, &function).await;
    assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&newer));
}

#[tokio::test]
async fn where_no_other_copy_can_take_its_place_the_parameter_stays_and_the_outcome_says_so() {
    let stage = Stage::new().await.set("RETIRE_WITH_SOURCE", "true").set("PARAMETER_NAME", "/golden/{tag:Channel}");
    let (stage, function, only) = copied(stage, source()).await;
    tag(&stage, THERE, AMI, WITHDRAWN, "");
    let outcomes = events(&stage, &function).await;
    assert!(outcomes[0]["Parameter"].as_str().expect("a remark").contains("still holds it"), "{outcomes:?}");
    assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&only));
    ec2(&stage, THERE, "DisableImage", json!({ "ImageId": AMI }));
    stage.aws.world().advance(HOUR);
    let answer = function.invoke(&state_change(THERE, AMI, "disabled")).await.expect("held");
    assert!(answer[0]["Reason"].as_str().unwrap().contains("no other copy can take its place"), "{answer}");
    assert_eq!(copy_of(&stage, &only).state, ImageState::Available);
}

#[tokio::test]
async fn an_image_of_another_channel_has_a_parameter_of_its_own_and_one_name_holds_the_newest_of_ten() {
    let stage = Stage::new().await.set("SOURCE_REGIONS", THERE);
    let stage = stage.set("PARAMETER_NAME", "/golden/{tag:Channel}").with(|world| {
        for n in 0..10 {
            let ami = crate::stage::ami(n);
            world.add_image(
                THERE,
                built(&ami, &format!("golden-{n}"), 500 - i64::try_from(n).unwrap()).tag("Channel", "one"),
            );
            let ami = crate::stage::ami(100 + n);
            world.add_image(THERE, built(&ami, &format!("other-{n}"), 500).tag("Channel", &format!("own-{n}")));
        }
    });
    let function = stage.function().await;
    for _ in 0..3 {
        swept(&stage, &function).await;
        stage.aws.world().advance(HOUR);
    }
    let of = |n: usize| {
        let copies = stage.copies().into_iter();
        copies.filter(|copy| copy.source_image_id.as_deref() == Some(&crate::stage::ami(n))).map(|copy| copy.id).next()
    };
    assert_eq!(held(&stage, "/golden/one"), of(9));
    for n in 0..10 {
        assert_eq!(held(&stage, &format!("/golden/own-{n}")), of(100 + n), "{n}");
    }
    assert_eq!(announced_by_sweep(&stage, &function).await, 0);
}

#[tokio::test]
async fn a_name_that_changes_with_the_setting_is_left_without_writing() {
    let (stage, _, [_, newer]) = two(Stage::new().await).await;
    let function = with(&stage, &[("PARAMETER_NAME", "/images/{tag:Channel}")]).await;
    swept(&stage, &function).await;
    assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&newer), "it does not walk back to the oldest image");
    assert_eq!(held(&stage, "/images/beta").as_ref(), Some(&newer));
    assert_eq!(announced_by_sweep(&stage, &function).await, 0);
    // What a sweep before the update sent.
    stage.aws.world().set_parameter(HERE, "/golden/beta", "ami-00000000000000009", IMAGE);
    assert!(why_ignored(&function, &elect("/golden/beta")).await.contains("is none of PARAMETER_NAME any more"));
    assert_eq!(held(&stage, "/golden/beta").as_deref(), Some("ami-00000000000000009"));
}

fn elect(name: &str) -> Value {
    json!({ "AmiCourier": { "Elect": { "ParameterName": name } } })
}

#[tokio::test]
async fn in_a_dry_run_no_election_writes() {
    let (stage, _, [older, _]) = two(Stage::new().await).await;
    let function = with(&stage, &[("DRY_RUN", "true")]).await;
    stage.aws.world().set_parameter(HERE, "/golden/beta", &older, IMAGE);
    assert!(why_ignored(&function, &elect("/golden/beta")).await.contains("DRY_RUN is on"));
    assert_eq!(held(&stage, "/golden/beta"), Some(older));
}

#[tokio::test]
async fn a_sweep_with_little_room_sends_the_names_of_parameters_all_the_same() {
    const ROOM: usize = 4;
    let (stage, function, [older, _]) = two(Stage::new().await).await;
    stage.aws.world().set_parameter(HERE, "/golden/beta", &older, IMAGE);
    for number in 0..10 {
        let missed = built(&format!("ami-0000000000000010{number}"), &format!("missed-{number}"), 60);
        stage.aws.world().add_image(THERE, missed);
    }
    crate::sweep::announce::fill(&stage, 1000 - ROOM);
    function.invoke(&json!({ "Sweep": {} })).await.expect("a sweep");
    let messages = stage.aws.world().messages(&stage.queue);
    let sent = |kind: &str| messages.iter().filter(|message| message.body.contains(kind)).count();
    assert_eq!((sent("Missed"), sent("Elect")), (ROOM - 1, 1));
}

#[tokio::test]
async fn a_withdrawal_reaches_a_copy_that_is_disabled_too() {
    let (stage, function, [_, newer]) = two(Stage::new().await).await;
    ec2(&stage, HERE, "DisableImage", json!({ "ImageId": newer }));
    stage.aws.world().take_events();
    tag(&stage, THERE, NEWER, WITHDRAWN, "bad kernel");
    events(&stage, &function).await;
    assert!(copy_of(&stage, &newer).tags.contains_key(BY_SOURCE));
}

/// Somebody copied an older image by hand, later: by the source it is older.
#[tokio::test]
async fn a_holder_of_somebody_else_counts_by_its_source() {
    const BY_HAND: &str = "ami-00000000000000009";
    let (stage, function, [_, newer]) = two(Stage::new().await).await;
    let copy = built(BY_HAND, "by hand", 0).copy_of("ami-0abcdef1234567891", THERE);
    {
        let mut world = stage.aws.world();
        world.add_image(THERE, built("ami-0abcdef1234567891", "golden-0", OLD + 60));
        world.add_image(HERE, copy);
        world.set_parameter(HERE, "/golden/beta", BY_HAND, IMAGE);
        world.advance(20 * MINUTE);
    }
    swept(&stage, &function).await;
    assert_eq!(held(&stage, "/golden/beta"), Some(newer));
}

/// Delivers what is in the courier's own queue as SQS does, each message at its time.
async fn delivered(stage: &Stage, function: Host) {
    let habits = Habits { hears_events: false, ..Habits::default() };
    let mut poller = Poller::new(&stage.aws, &stage.queue, vec![Arc::new(function)], 1).habits(habits);
    poller.run_to_rest(2 * HOUR).await.expect("the queue is empty");
}

#[tokio::test]
async fn the_election_of_a_sweep_sees_what_the_messages_of_that_sweep_wrote() {
    let (stage, function, [older, _]) = two(Stage::new().await).await;
    stage.aws.world().behaviour.hide_changes_for(15 * MINUTE);
    untag(&stage, THERE, NEWER, "Channel");
    stage.aws.world().take_events();
    stage.aws.world().advance(HOUR);
    function.invoke(&json!({ "Sweep": {} })).await.expect("a sweep");
    // The copy leaves its name a minute after the sweep, and EC2 shows it as a member for a quarter of an hour more.
    stage.aws.world().advance(MINUTE);
    delivered(&stage, function).await;
    assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&older));
}

#[tokio::test]
async fn a_sweep_elects_again_for_the_copies_that_it_has_finished_as_well() {
    let stage = Stage::new().await.set("SOURCE_REGIONS", THERE).set("PARAMETER_NAME", "/golden/{tag:Channel}");
    let stage = stage.with(|world| {
        world.add_image(THERE, source());
        world.add_image(THERE, newer());
    });
    let function = stage.function().await;
    // The copies are finished in the order in which they were made: first that of the newer source.
    let newer = ended(&stage, &function, NEWER).await;
    ended(&stage, &function, AMI).await;
    stage.aws.world().take_events();
    stage.aws.world().behaviour.hide_changes_for(15 * MINUTE);
    stage.sweep(&function).await.expect("a sweep");
    // The second one did not see the first one in its parameter's name.
    assert_ne!(held(&stage, "/golden/beta").as_ref(), Some(&newer));
    delivered(&stage, function).await;
    assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&newer));
}

#[tokio::test]
async fn a_withdrawal_of_a_copy_that_ec2_does_not_show_yet_is_waited_for() {
    let (stage, function, [older, newer]) = two(Stage::new().await).await;
    tag(&stage, HERE, &newer, WITHDRAWN, "");
    let mut events = stage.aws.world().take_events();
    events.retain(|event| event["detail"]["changed-tag-keys"] == json!([WITHDRAWN]));
    let [event] = events.try_into().expect("one event");
    let mut message = crate::stage::batch([("m1", event.to_string())]);
    let sent = stage.aws.world().now().unix_timestamp() * 1000;
    message["Records"][0]["attributes"]["SentTimestamp"] = json!(sent.to_string());
    stage.aws.world().image_mut(HERE, &newer).unwrap().tags.remove(WITHDRAWN);
    assert!(!done(&function, &message).await, "compared now, the copy would be in step");
    stage.aws.world().image_mut(HERE, &newer).unwrap().tags.insert(WITHDRAWN.to_owned(), String::new());
    assert!(done(&function, &message).await);
    assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&older));
}

#[tokio::test]
async fn a_copy_that_gets_another_name_and_is_not_the_newest_there_is_updated_all_the_same() {
    let (stage, function, [_, newer]) = two(Stage::new().await).await;
    tag(&stage, THERE, NEWER, "Channel", "prod");
    events(&stage, &function).await;
    tag(&stage, THERE, AMI, "Channel", "prod");
    let outcomes = events(&stage, &function).await;
    assert_eq!(outcomes[0]["Changed"], json!(["Parameter", "Tags"]), "{outcomes:?}");
    assert_eq!(held(&stage, "/golden/prod").as_ref(), Some(&newer));
}

#[tokio::test]
async fn a_copy_that_cannot_leave_its_parameter_keeps_its_name_and_joins_no_other_until_it_can() {
    let (stage, function, [older, newer]) = two(Stage::new().await).await;
    let refused = Fault::on("PutParameter").error(400, "AccessDeniedException", "a policy denies it");
    stage.aws.world().fault(refused.every());
    tag(&stage, THERE, NEWER, "Channel", "prod");
    let message = unfinished(&newer);
    function.invoke(&message).await.expect_err("refused");
    assert_eq!(copy_of(&stage, &newer).tags[PARAMETER], "/golden/beta");
    assert_eq!((held(&stage, "/golden/beta"), held(&stage, "/golden/prod")), (Some(newer.clone()), None));
    stage.aws.world().clear_faults();
    swept(&stage, &function).await;
    assert_eq!((held(&stage, "/golden/beta"), held(&stage, "/golden/prod")), (Some(older), Some(newer)));
}

#[tokio::test]
async fn a_copy_that_is_adopted_counts_with_the_tags_that_it_gets() {
    let (stage, function, [older, newer]) = two(Stage::new().await).await;
    tag(&stage, HERE, &newer, WITHDRAWN, "");
    events(&stage, &function).await;
    assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&older));
    // As a version before this one made it.
    for key in ["ami-courier:stack", "ami-courier:source-created", PARAMETER, WITHDRAWN] {
        untag(&stage, HERE, &newer, key);
    }
    tag(&stage, HERE, &newer, "ami-courier:stack", "ami-courier");
    stage.aws.world().take_events();
    let message = unfinished(&newer);
    function.invoke(&message).await.expect("adopted");
    assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&newer));
}

#[tokio::test]
async fn a_source_that_is_back_too_soon_is_waited_for_and_its_copy_joins_without_a_sweep() {
    let (stage, function, [older, newer]) = two(Stage::new().await).await;
    tag(&stage, THERE, NEWER, WITHDRAWN, "bad kernel");
    events(&stage, &function).await;
    untag(&stage, THERE, NEWER, WITHDRAWN);
    stage.aws.world().take_events();
    let message = unfinished(&newer);
    let early = function.invoke(&message).await.expect_err("too soon").to_string();
    assert!(early.contains("becomes a member of its parameter again once"), "{early}");
    assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&older));
    stage.aws.world().advance(16 * MINUTE);
    function.invoke(&message).await.expect("a member");
    assert_eq!(held(&stage, "/golden/beta").as_ref(), Some(&newer));
}

#[tokio::test]
async fn a_requests_copy_that_ends_first_leaves_the_parameter_to_the_announced_copy() {
    let stage = Stage::new().await.set("PARAMETER_NAME", "/golden/{tag:Channel}").with(|world| {
        world.add_image(THERE, source());
    });
    let function = stage.function().await;
    let announced = announced(&function, AMI).await;
    let request = json!({ "Name": "by-hand", "SourceImageId": AMI, "SourceRegion": THERE });
    let requested = function.invoke(&request).await.expect("started")["ImageId"].as_str().expect("a copy").to_owned();
    stage.aws.world().advance(20 * MINUTE);
    finished(&function, &requested).await;
    assert_eq!(held(&stage, "/golden/beta"), None);
    finished(&function, &announced).await;
    assert_eq!(held(&stage, "/golden/beta"), Some(announced));
}
