//! A copy follows its source out of service, on evidence alone, and never while somebody would miss it.

use std::time::Duration;

use local::aws::{HiddenAs, Image, ImageState, Protection, Reference};
use local::host::Host;
use serde_json::{Value, json};

use crate::life::{ago, built, done, ended, finished, image, on_bus, stage};
use crate::stage::{HERE, Stage, THERE, batch, state_change};

const AMI: &str = "ami-0abcdef1234567890";
const PARTNER: &str = "111122223333";

/// A finished copy of an AMI of this owner, under this setting.
async fn copied(owner: &str, retire: &str) -> (Stage, Host, String) {
    let stage =
        stage().await.set("RETIRE_WITH_SOURCE", retire).set("SOURCE_OWNERS", "self,111122223333").with(|world| {
            world.add_image(THERE, built(AMI, "golden-1", 90).owner(owner).shared_with(local::aws::ACCOUNT));
        });
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    finished(&function, &copy).await;
    stage.aws.world().forget_calls();
    (stage, function, copy)
}

async fn our_own() -> (Stage, Host, String) {
    copied(local::aws::ACCOUNT, "true").await
}

/// The one outcome of the source's event.
async fn outcome(function: &Host, state: &str) -> Value {
    let answer = function.invoke(&state_change(THERE, AMI, state)).await.expect("outcomes");
    assert_eq!(answer.as_array().map(Vec::len), Some(1), "{answer}");
    answer[0].clone()
}

fn assert_stays(stage: &Stage, copy: &str, outcome: &Value, why: &str) {
    assert_eq!(outcome["Outcome"], "Ignored", "{outcome}");
    assert!(outcome["Reason"].as_str().is_some_and(|reason| reason.contains(why)), "`{why}` is not in {outcome}");
    assert_eq!(image(stage, copy).state, ImageState::Available);
    assert_eq!(stage.changes(), Vec::<String>::new());
    assert!(on_bus(stage, "Retired").is_empty());
}

#[tokio::test]
async fn without_the_setting_copies_stay_and_ec2_is_not_even_asked() {
    let (stage, function, copy) = copied(local::aws::ACCOUNT, "false").await;
    stage.aws.world().deregister(THERE, AMI);
    assert_stays(&stage, &copy, &outcome(&function, "deregistered").await, "RETIRE_WITH_SOURCE is not set");
    assert_stays(&stage, &copy, &outcome(&function, "disabled").await, "RETIRE_WITH_SOURCE is not set");
    assert_eq!(stage.actions(), Vec::<String>::new());
}

#[tokio::test]
async fn a_copy_goes_with_its_snapshots_however_ec2_shows_that_its_source_is_deregistered() {
    let looks = [
        (Duration::ZERO, HiddenAs::NotFound),
        (Duration::from_secs(120), HiddenAs::NotFound),
        (Duration::from_secs(7200), HiddenAs::NotFound),
        (Duration::from_secs(7200), HiddenAs::Unavailable),
    ];
    for (later, forgotten_as) in looks {
        let (stage, function, copy) = our_own().await;
        stage.aws.world().behaviour.forgotten_as = forgotten_as;
        stage.aws.world().deregister(THERE, AMI);
        stage.aws.world().advance(later);
        let retired = outcome(&function, "deregistered").await;
        assert_eq!((&retired["Outcome"], &retired["ImageId"]), (&json!("Retired"), &json!(copy)), "{later:?}");
        assert!(stage.copies().is_empty() && stage.aws.world().snapshots(HERE).is_empty());
        assert_eq!(
            stage.actions(),
            ["DescribeImages", "DescribeImages", "DescribeImageReferences", "DeregisterImage", "PutEvents"]
        );
        let event = on_bus(&stage, "Retired").remove(0);
        assert_eq!(event.detail, retired);
        assert_eq!(event.resources, [format!("arn:aws:ec2:{HERE}::image/{copy}")]);
    }
}

#[tokio::test]
async fn the_events_of_a_retirement_delivered_again_change_nothing() {
    let (stage, function, copy) = our_own().await;
    stage.aws.world().deregister(THERE, AMI);
    let message = batch([("m1", state_change(THERE, AMI, "deregistered").to_string())]);
    assert!(done(&function, &message).await);
    stage.aws.world().forget_calls();
    assert!(done(&function, &message).await);
    assert!(done(&function, &crate::life::told(&copy, "deregistered", 1)).await);
    assert_eq!(stage.actions(), ["DescribeImages"]);
    assert_eq!((on_bus(&stage, "Retired").len(), stage.dead().len()), (1, 0));
}

#[tokio::test]
async fn another_accounts_source_retires_its_copy_only_while_ec2_shows_it_as_deregistered() {
    let (stage, function, _) = copied(PARTNER, "true").await;
    stage.aws.world().deregister(THERE, AMI);
    assert_eq!(outcome(&function, "deregistered").await["Outcome"], "Retired");
    for later in [120, 7200] {
        let (stage, function, copy) = copied(PARTNER, "true").await;
        stage.aws.world().deregister(THERE, AMI);
        stage.aws.world().advance(Duration::from_secs(later));
        assert_stays(&stage, &copy, &outcome(&function, "deregistered").await, "out of sight");
    }
}

#[tokio::test]
async fn a_source_that_is_not_shared_any_more_retires_nothing() {
    let (stage, function, copy) = copied(PARTNER, "true").await;
    stage.aws.world().image_mut(THERE, AMI).unwrap().launch_permissions.clear();
    assert_stays(&stage, &copy, &outcome(&function, "deregistered").await, "out of sight");
}

#[tokio::test]
async fn a_source_that_is_still_there_retires_nothing_whatever_the_event_says() {
    let (stage, function, copy) = our_own().await;
    assert_stays(&stage, &copy, &outcome(&function, "deregistered").await, "EC2 still has its source AMI");
    assert_stays(&stage, &copy, &outcome(&function, "disabled").await, "EC2 still has its source AMI");
}

#[tokio::test]
async fn permission_that_is_lacking_retires_nothing_and_is_told() {
    let (stage, function, copy) = our_own().await;
    stage.aws.world().deregister(THERE, AMI);
    let fault = local::aws::Fault::on("DescribeImages").in_region(THERE);
    stage.aws.world().fault(fault.error(403, "UnauthorizedOperation", "You are not authorized"));
    let error = function.invoke(&state_change(THERE, AMI, "deregistered")).await.unwrap_err().to_string();
    assert!(error.contains("UnauthorizedOperation") && error.contains(AMI), "{error}");
    assert_eq!(image(&stage, &copy).state, ImageState::Available);
}

#[tokio::test]
async fn a_copy_that_is_in_use_stays_and_what_holds_it_is_told() {
    type Hold = fn(&mut Image);
    let template = "arn:aws:ec2:eu-west-1:123456789012:launch-template/lt-0123456789abcdef0";
    let holds: [(Hold, &[&str]); 6] = [
        (|copy| copy.last_launched_time = Some(ago(60 * 24 * 29)), &["launched on 20"]),
        (
            |copy| copy.referenced_by = vec![reference("ec2:LaunchTemplate", "launch-template/lt-0123456789abcdef0")],
            &["ec2:LaunchTemplate", template],
        ),
        (
            |copy| copy.referenced_by = vec![reference("ec2:Instance", "instance/i-0123456789abcdef0")],
            &["ec2:Instance"],
        ),
        (
            |copy| copy.referenced_by = (0..7).map(|n| reference("ec2:Instance", &format!("instance/i-{n}"))).collect(),
            &["instance/i-4", "and 2 more"],
        ),
        (|copy| copy.deregistration_protection = Protection::Enabled, &["protected from deregistration"]),
        (|copy| copy.deregistration_protection = Protection::EnabledWithCooldown, &["protected from deregistration"]),
    ];
    for (hold, words) in holds {
        let (stage, function, copy) = our_own().await;
        hold(stage.aws.world().image_mut(HERE, &copy).unwrap());
        stage.aws.world().deregister(THERE, AMI);
        let ignored = outcome(&function, "deregistered").await;
        for word in words {
            assert_stays(&stage, &copy, &ignored, word);
        }
        assert!(ignored["Reason"].as_str().unwrap().contains(&copy));
    }
}

fn reference(kind: &str, resource: &str) -> Reference {
    Reference { resource_type: kind.to_owned(), arn: format!("arn:aws:ec2:eu-west-1:123456789012:{resource}") }
}

#[tokio::test]
async fn the_copy_that_a_parameter_holds_stays() {
    let (stage, function, copy) = our_own().await;
    stage.aws.world().set_parameter(HERE, "/golden/latest", &copy, "aws:ec2:image");
    stage.aws.world().deregister(THERE, AMI);
    assert_stays(&stage, &copy, &outcome(&function, "deregistered").await, "parameter/golden/latest");
}

#[tokio::test]
async fn a_copy_that_was_launched_long_ago_goes() {
    let (stage, function, copy) = our_own().await;
    stage.aws.world().image_mut(HERE, &copy).unwrap().last_launched_time = Some(ago(60 * 24 * 31));
    stage.aws.world().deregister(THERE, AMI);
    assert_eq!(outcome(&function, "deregistered").await["Outcome"], "Retired");
}

#[tokio::test]
async fn the_cool_down_after_a_protection_holds_a_copy_though_it_does_not_show() {
    let (stage, function, copy) = our_own().await;
    stage.aws.world().image_mut(HERE, &copy).unwrap().deregistration_protection = Protection::EnabledWithCooldown;
    let caller = local::aws::Caller::in_region(HERE);
    let lifted =
        stage.aws.world().call(&caller, "ec2", "DisableImageDeregistrationProtection", &json!({ "ImageId": copy }));
    assert!(lifted.is_ok());
    stage.aws.world().deregister(THERE, AMI);
    let ignored = outcome(&function, "deregistered").await;
    assert_eq!(ignored["Outcome"], "Ignored", "{ignored}");
    assert!(ignored["Reason"].as_str().unwrap().contains("protected from deregistration"), "{ignored}");
    stage.aws.world().advance(Duration::from_secs(25 * 3600));
    assert_eq!(outcome(&function, "deregistered").await["Outcome"], "Retired");
}

#[tokio::test]
async fn a_disabled_source_disables_its_copy_once_unless_it_is_in_use() {
    let (stage, function, copy) = our_own().await;
    stage.aws.world().image_mut(THERE, AMI).unwrap().state = ImageState::Disabled;
    stage.aws.world().image_mut(HERE, &copy).unwrap().referenced_by = vec![reference("ec2:LaunchTemplate", "lt-1")];
    assert_stays(&stage, &copy, &outcome(&function, "disabled").await, "ec2:LaunchTemplate");
    stage.aws.world().image_mut(HERE, &copy).unwrap().referenced_by.clear();
    let retired = outcome(&function, "disabled").await;
    assert_eq!((&retired["Outcome"], &retired["ImageId"]), (&json!("Retired"), &json!(copy)));
    assert_eq!(image(&stage, &copy).state, ImageState::Disabled);
    let again = outcome(&function, "disabled").await;
    assert_eq!(again["Outcome"], "Ignored", "{again}");
    assert_eq!(on_bus(&stage, "Retired").len(), 1, "it is told once");
    // Deregistered at last, the source takes the disabled copy with it.
    stage.aws.world().deregister(THERE, AMI);
    assert_eq!(outcome(&function, "deregistered").await["Outcome"], "Retired");
    assert!(stage.copies().is_empty());
}

#[tokio::test]
async fn a_disabled_source_disables_a_protected_copy_which_protection_does_not_forbid() {
    let (stage, function, copy) = our_own().await;
    stage.aws.world().image_mut(THERE, AMI).unwrap().state = ImageState::Disabled;
    stage.aws.world().image_mut(HERE, &copy).unwrap().deregistration_protection = Protection::Enabled;
    assert_eq!(outcome(&function, "disabled").await["Outcome"], "Retired");
    assert_eq!(image(&stage, &copy).state, ImageState::Disabled);
}

#[tokio::test]
async fn of_several_copies_each_is_judged_by_itself_and_those_that_are_not_ours_stay() {
    let (stage, function, first) = our_own().await;
    let request = json!({ "Name": "another", "SourceImageId": AMI, "SourceRegion": THERE });
    let second = function.invoke(&request).await.unwrap()["ImageId"].as_str().unwrap().to_owned();
    let theirs = "ami-00000000000000021";
    {
        let mut world = stage.aws.world();
        world.advance(Duration::from_secs(1200));
        world.add_image(HERE, Image::new(theirs, "theirs").copy_of(AMI, THERE));
        world.image_mut(HERE, &first).unwrap().deregistration_protection = Protection::Enabled;
        world.deregister(THERE, AMI);
    }
    let answer = function.invoke(&state_change(THERE, AMI, "deregistered")).await.unwrap();
    let outcomes: Vec<&Value> = answer.as_array().unwrap().iter().collect();
    assert_eq!(outcomes.len(), 2, "{answer}");
    assert!(outcomes.iter().any(|outcome| outcome["Outcome"] == "Retired" && outcome["ImageId"] == second.as_str()));
    assert!(outcomes.iter().any(|outcome| outcome["Reason"].as_str().is_some_and(|reason| reason.contains(&first))));
    let left: Vec<String> = stage.copies().into_iter().map(|copy| copy.id).collect();
    assert!(left.contains(&first) && left.contains(&theirs.to_owned()) && !left.contains(&second));
}

#[tokio::test]
async fn copies_are_found_on_whatever_page_they_are() {
    let (stage, function, copy) = our_own().await;
    stage.aws.world().behaviour.page_size = 1;
    for n in 0..3 {
        let id = format!("ami-0000000000000003{n}");
        stage.aws.world().add_image(HERE, Image::new(&id, &id).copy_of(AMI, THERE));
    }
    stage.aws.world().deregister(THERE, AMI);
    assert_eq!(outcome(&function, "deregistered").await["ImageId"], copy.as_str());
    assert!(stage.aws.world().image(HERE, &copy).is_none());
}

#[tokio::test]
async fn a_pending_copy_of_a_deregistered_source_is_cancelled() {
    let stage = stage().await.set("RETIRE_WITH_SOURCE", "true").source(AMI, "golden-1");
    let function = stage.function().await;
    crate::life::announced(&function, AMI).await;
    stage.aws.world().deregister(THERE, AMI);
    assert_eq!(outcome(&function, "deregistered").await["Outcome"], "Retired");
    assert!(stage.copies().is_empty());
}

#[tokio::test]
async fn an_answer_that_is_lost_while_a_copy_goes_is_no_error() {
    let (stage, function, _) = our_own().await;
    stage.aws.world().deregister(THERE, AMI);
    stage.aws.world().fault(local::aws::Fault::on("DeregisterImage").nth(1).drop_after_effect());
    assert_eq!(outcome(&function, "deregistered").await["Outcome"], "Retired");
    assert!(stage.copies().is_empty());
}

#[tokio::test]
async fn a_source_of_a_region_beyond_the_border_retires_nothing() {
    let (stage, _, copy) = our_own().await;
    stage.aws.world().deregister(THERE, AMI);
    let function = stage.function_in(HERE).set("SOURCE_REGIONS", "us-west-2").start().await.unwrap();
    assert_stays(&stage, &copy, &outcome(&function, "deregistered").await, "SOURCE_REGIONS");
}

#[tokio::test]
async fn a_copy_that_does_not_remember_whose_its_source_was_stays_when_that_is_out_of_sight() {
    let (stage, function, copy) = our_own().await;
    stage.aws.world().image_mut(HERE, &copy).unwrap().tags.remove("ami-courier:source-owner");
    stage.aws.world().deregister(THERE, AMI);
    stage.aws.world().advance(Duration::from_secs(7200));
    assert_stays(&stage, &copy, &outcome(&function, "deregistered").await, "out of sight");
}
