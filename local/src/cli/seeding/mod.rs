//! The AMIs that an event names, put into AWS before the function gets the event.
//!
//! `find` walks the event for everything that identifies an AMI, `context` reads what is said about it, `seeds` collects
//! both, and `plant` puts them into a [`World`].

mod context;
mod find;
mod plant;
#[cfg(test)]
mod samples;
mod seeds;

use serde_json::Value;

use super::options::FunctionOptions;
use crate::aws::{ACCOUNT, World};
use context::stack_account;

pub(super) use seeds::{Seed, Seeding};

/// Puts what an event names into a new world, for a function in this Region.
pub fn plant_for(event: &Value, region: &str, world: &mut World) {
    let mut seeding = Seeding::in_account(stack_account(event).unwrap_or(ACCOUNT));
    seeding.add_all_of(event, region);
    seeding.plant(world, region);
}

impl Seeding {
    /// What the event names, and what the settings of the function need.
    pub(super) fn of(event: &Value, options: &FunctionOptions) -> Self {
        let mut seeding = Self::in_account(stack_account(event).unwrap_or(ACCOUNT));
        seeding.add_all_of(event, &options.region);
        if is_sweep(event) {
            let regions = options.setting("SOURCE_REGIONS").unwrap_or_default();
            for region in regions.split(',').map(str::trim).filter(|region| !["", "any"].contains(region)) {
                let seed = Seed::new(region, &seeding.invented_id());
                seeding.add(seed);
            }
        }
        seeding.keys.extend(options.setting("KMS_KEY_ID").map(str::to_owned));
        seeding
    }
}

fn is_sweep(event: &Value) -> bool {
    event.get("Sweep").is_some() || event["detail-type"] == "Scheduled Event"
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::OffsetDateTime;

    use super::find::SOURCE_OF_A_COPY;
    use super::plant::key_meant_by;
    use super::samples::{REGION, ami_state_change, seeding};
    use super::*;
    use crate::aws::ImageState;

    #[test]
    fn an_ami_of_another_account_than_the_queues_belongs_to_that_account_and_is_shared() {
        let mut inner = ami_state_change("us-east-1", "ami-0123456789abcdef1", "available");
        inner["account"] = json!("111122223333");
        let arn = "arn:aws:sqs:eu-west-1:444455556666:ami-courier";
        let event = json!({"Records": [{"body": inner.to_string(), "eventSourceARN": arn}]});
        let seeding = seeding(&event);
        assert_eq!(seeding.account, "444455556666");
        let image = seeding.image(&seeding.images[0]);
        assert_eq!(image.owner, "111122223333");
        assert!(image.snapshots[0].shared_with.contains("444455556666"));
    }

    #[test]
    fn without_a_queue_the_function_runs_in_the_account_of_the_event() {
        let mut event = ami_state_change("us-east-1", "ami-0123456789abcdef1", "available");
        event["account"] = json!("111122223333");
        let seeding = seeding(&event);
        assert_eq!(seeding.account, "111122223333");
        let image = seeding.image(&seeding.images[0]);
        assert_eq!(image.owner, "111122223333");
        assert!(image.launch_permissions.is_empty());
    }

    #[test]
    fn seeded_amis_exist_and_cause_no_events() {
        let mut world = World::default();
        let event = json!({"Records": [
            {"body": ami_state_change("us-east-1", "ami-0123456789abcdef1", "available").to_string()},
            {"body": ami_state_change(REGION, "ami-0123456789abcdef2", "failed").to_string()},
            {"body": json!({
                "source": "aws.ssm", "account": ACCOUNT, "region": "us-east-2",
                "resources": ["arn:aws:ssm:us-east-2:123456789012:parameter/golden"],
                "detail": {"operation": "Update", "name": "/golden", "dataType": "aws:ec2:image"},
            }).to_string()},
        ]});
        seeding(&event).plant(&mut world, REGION);
        let source = world.image("us-east-1", "ami-0123456789abcdef1").expect("the source");
        assert_eq!((source.name.as_str(), source.state), ("golden-2026-01", ImageState::Available));
        let age = OffsetDateTime::now_utc() - source.creation_date;
        assert!(age.whole_hours() == 0, "a sweep would find it too old");
        let copy = world.image(REGION, "ami-0123456789abcdef2").expect("the copy");
        assert_eq!(copy.tags["ami-courier:source-region"], copy.source_image_region.clone().unwrap_or_default());
        assert_eq!(Some(&copy.name), world.image(SOURCE_OF_A_COPY.0, SOURCE_OF_A_COPY.1).map(|source| &source.name));
        assert!(copy.state == ImageState::Failed && copy.state_reason.is_some());
        let held = world.parameter("us-east-2", "/golden").expect("the parameter").value;
        assert!(world.image("us-east-2", &held).is_some());
        assert_eq!(world.take_events(), Vec::<Value>::new());
    }

    #[test]
    fn a_deregistered_source_is_gone() {
        let mut world = World::default();
        seeding(&ami_state_change("us-east-1", "ami-0123456789abcdef1", "deregistered")).plant(&mut world, REGION);
        assert!(world.images("us-east-1").is_empty());
        assert_eq!(world.images(REGION).len(), 1);
    }

    #[test]
    fn a_key_is_known_by_each_kind_of_name() {
        assert_eq!(key_meant_by("alias/copies", ACCOUNT).aliases, ["alias/copies"]);
        assert_eq!(key_meant_by("0d6c-id", ACCOUNT).id, "0d6c-id");
        let key = key_meant_by("arn:aws:kms:eu-west-1:111122223333:key/0d6c-id", ACCOUNT);
        assert_eq!((key.id.as_str(), key.account.as_str()), ("0d6c-id", "111122223333"));
        let event = json!({"SourceImageId": "ami-1", "SourceRegion": "us-east-1", "KmsKeyId": "alias/copies"});
        assert_eq!(seeding(&event).keys, ["alias/copies"]);
    }
}
