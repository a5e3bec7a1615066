//! Sharing a finished copy: its snapshots first, then the AMI, with accounts, organizations and organizational units.

use local::aws::{Fault, LaunchPermission, Snapshot, SnapshotIdsAt};

use crate::finish::{CALLS, ORGANIZATION, PARTNER, UNIT, assert_holds, demanding};
use crate::life::{built, done, ended, finished, image, is_finished, on_bus, stage, take_dead, told};
use crate::stage::{HERE, THERE, state_change, words};

const AMI: &str = "ami-0abcdef1234567890";

#[tokio::test]
async fn organizations_alone_get_the_ami_and_no_snapshot() {
    let stage = stage().await.set("SHARE_WITH", UNIT).set("DEPRECATE", "Never").source(AMI, "golden-1");
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    finished(&function, &copy).await;
    assert_eq!(stage.changes(), ["ModifyImageAttribute", "PutEvents", "CreateTags"]);
    let now = image(&stage, &copy);
    assert_eq!(now.launch_permissions, [LaunchPermission::OrganizationalUnitArn(UNIT.to_owned())].into());
    assert!(now.snapshots.iter().all(|snapshot| snapshot.shared_with.is_empty()));
}

#[tokio::test]
async fn snapshots_whose_ids_only_an_available_copy_shows_are_shared_before_the_ami() {
    let stage = demanding().await.with(|world| world.behaviour.snapshot_ids_at = SnapshotIdsAt::End);
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    assert!(done(&function, &told(&copy, "available", 1)).await);
    assert_eq!(stage.actions(), CALLS);
    assert_holds(&stage, &copy);
}

#[tokio::test]
async fn a_blank_volume_needs_no_sharing_and_the_copy_is_finished() {
    let with_snapshot = vec![Snapshot::new("snap-0aaaaaaaaaaaaaaa1")];
    for (snapshots, calls) in [(with_snapshot, 1), (Vec::new(), 0)] {
        let stage = stage().await.set("SHARE_WITH", PARTNER).with(|world| {
            world.add_image(THERE, built(AMI, "golden-1", 90).snapshots(snapshots).blank_volume(100));
        });
        let function = stage.function().await;
        let copy = ended(&stage, &function, AMI).await;
        assert!(done(&function, &told(&copy, "available", 1)).await);
        assert!(is_finished(&stage, &copy), "{:?}", stage.dead());
        let now = image(&stage, &copy);
        assert_eq!(now.blank_volumes.len(), 1);
        assert_eq!(now.launch_permissions, [LaunchPermission::UserId(PARTNER.to_owned())].into());
        assert!(now.snapshots.iter().all(|snapshot| snapshot.shared_with.contains(PARTNER)));
        let shared = stage.actions().iter().filter(|action| *action == "ModifySnapshotAttribute").count();
        assert_eq!((now.snapshots.len(), shared), (calls, calls));
    }
}

#[tokio::test]
async fn settings_that_share_copies_under_the_aws_managed_key_stop_the_function_with_the_explanation() {
    let arn = "arn:aws:kms:eu-west-1:123456789012:alias/aws/ebs";
    for key in ["alias/aws/ebs", arn] {
        let stage = stage().await.set("KMS_KEY_ID", key).set("SHARE_WITH", PARTNER);
        let wrong = stage.function_in(HERE).start().await.expect_err("it does not start").logs.concat();
        assert!(wrong.contains("KMS_KEY_ID") && wrong.contains("customer managed key"), "{wrong}");
    }
}

#[tokio::test]
async fn a_copy_under_the_aws_managed_key_is_rejected_for_sharing_with_that_explanation() {
    for (with, code) in [(PARTNER, "OperationNotPermitted"), (ORGANIZATION, "InvalidParameter")] {
        let stage = stage().await.set("ENCRYPTED", "true").set("SHARE_WITH", with).source(AMI, "golden-1");
        let function = stage.function().await;
        let copy = ended(&stage, &function, AMI).await;
        assert!(done(&function, &told(&copy, "available", 1)).await);
        assert!(!is_finished(&stage, &copy));
        let (body, attributes) = take_dead(&stage).remove(0);
        assert_eq!(attributes["Code"], code);
        let explanation = words(&attributes);
        assert!(explanation.contains("aws/ebs") && explanation.contains(&copy) && explanation.contains("KMS_KEY_ID"));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap(), state_change(HERE, &copy, "available"));
        assert_eq!(on_bus(&stage, "Rejected")[0].detail["Code"], code);
    }
}

#[tokio::test]
async fn an_organization_that_ec2_refuses_is_not_explained_by_the_key() {
    let stage = stage().await.set("ENCRYPTED", "true").set("SHARE_WITH", ORGANIZATION).source(AMI, "golden-1");
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    let message = "Invalid attribute item value \"arn\" for organizationArn item type.";
    stage.aws.world().fault(Fault::on("ModifyImageAttribute").error(400, "InvalidAMIAttributeItemValue", message));
    assert!(done(&function, &told(&copy, "available", 1)).await);
    let (_, attributes) = take_dead(&stage).remove(0);
    assert!(words(&attributes).contains(message) && !words(&attributes).contains("aws/ebs"));
}
