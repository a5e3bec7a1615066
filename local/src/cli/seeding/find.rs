//! Finding the AMIs that an event names, also in the JSON inside its strings. Pure.

use serde_json::{Map, Value};

use super::context::Context;
use super::seeds::{Seed, Seeding};
use crate::aws::ImageState;

/// The source of an AMI that an event announces as a copy.
pub(super) const SOURCE_OF_A_COPY: (&str, &str) = ("us-east-1", "ami-0123456789abcdef0");

/// The owner of an AMI that a public parameter of AWS holds: the account of Amazon Linux.
const OWNER_OF_PUBLIC_AMIS: &str = "137112412989";

impl Seeding {
    /// Adds what an event names, for a function in this Region.
    pub(in crate::cli) fn add_all_of(&mut self, event: &Value, region: &str) {
        self.walk(event, &Context { region, ..Context::default() });
    }

    fn walk(&mut self, value: &Value, context: &Context<'_>) {
        match value {
            Value::String(text) => match nested_json(text) {
                Some(nested) => self.walk(&nested, context),
                None => self.arn(text, context),
            },
            Value::Array(items) => items.iter().for_each(|item| self.walk(item, context)),
            Value::Object(fields) => {
                let context = context.inside(value);
                self.named_by_fields(value, &context);
                self.own_message(value, &context);
                self.listed(value, fields, &context);
                fields.values().for_each(|field| self.walk(field, &context));
            }
            _ => {}
        }
    }

    /// Pairs of Region and id.
    fn named_by_fields(&mut self, object: &Value, context: &Context<'_>) {
        let elements = &object["responseElements"];
        let pairs = [
            (&object["SourceRegion"], &object["SourceImageId"]),
            (&object["region"], &object["detail"]["ImageId"]),
            (&object["awsRegion"], &elements["imageId"]),
            (&object["awsRegion"], &elements["CreateRestoreImageTaskResponse"]["imageId"]),
        ];
        for (region, image_id) in pairs {
            if let (Some(region), Some(image_id)) = (region.as_str(), image_id.as_str()) {
                self.announced(region, image_id, context);
            }
        }
        if let Some(key) = object["KmsKeyId"].as_str().filter(|key| !key.is_empty()) {
            self.keys.push(key.to_owned());
        }
    }

    /// A message of the courier to itself about a copy: the copy and its source.
    fn own_message(&mut self, object: &Value, context: &Context<'_>) {
        for (kind, source_state) in [
            ("Unfinished", ImageState::Available),
            ("SourceGone", ImageState::Deregistered),
            ("SourceBack", ImageState::Available),
        ] {
            if let Some(image_id) = object["AmiCourier"][kind]["ImageId"].as_str() {
                self.copy(context.seed(context.region, image_id), source_state);
            }
        }
    }

    /// Packer's `artifact_id`, and Image Builder's list of what it made.
    fn listed(&mut self, object: &Value, fields: &Map<String, Value>, context: &Context<'_>) {
        let artifacts = fields.get("artifact_id").and_then(Value::as_str).unwrap_or_default();
        for (region, image_id) in artifacts.split(',').filter_map(|artifact| artifact.trim().split_once(':')) {
            self.announced(region, image_id, context);
        }
        for ami in object["outputResources"]["amis"].as_array().into_iter().flatten() {
            if let (Some(region), Some(image_id)) = (ami["region"].as_str(), ami["image"].as_str()) {
                let mut seed = context.seed(region, image_id);
                seed.name = ami["name"].as_str().map(str::to_owned);
                seed.owner = ami["accountId"].as_str().map(str::to_owned).or(seed.owner);
                if let Some(build) = object["arn"].as_str() {
                    seed.tags.extend(image_builder_tags(build));
                }
                self.add(seed);
            }
        }
    }

    /// An ARN that means an AMI: its own, that of its Image Builder image, or that of a parameter with its id.
    fn arn(&mut self, text: &str, context: &Context<'_>) {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", _, service, region, account, resource] = parts[..] else { return };
        let (kind, rest) = resource.split_once('/').unwrap_or((resource, ""));
        match (service, kind) {
            ("ec2", "image") => self.announced(region, rest, context),
            // name/version/build: without a build there is no AMI yet. If the message lists the AMI, it is known already.
            ("imagebuilder", "image") if rest.split('/').count() == 3 && !self.has_tag("Ec2ImageBuilderArn", text) => {
                let mut seed = context.seed(region, &self.invented_id());
                seed.owner = Some(account.to_owned());
                seed.tags.extend(image_builder_tags(text));
                self.add(seed);
            }
            ("ssm", "parameter") => {
                let name = context.parameter.clone().unwrap_or_else(|| rest.to_owned());
                if self.images.iter().any(|seed| seed.region == region && seed.parameter.as_ref() == Some(&name)) {
                    return;
                }
                let mut seed = context.seed(region, &self.invented_id());
                seed.parameter = Some(name);
                if account.is_empty() {
                    seed.owner = Some(OWNER_OF_PUBLIC_AMIS.to_owned());
                }
                self.add(seed);
            }
            _ => {}
        }
    }

    /// An AMI that the message names by Region and id. An AMI state change in the function's own Region is about a copy.
    fn announced(&mut self, region: &str, image_id: &str, context: &Context<'_>) {
        if !image_id.starts_with("ami-") {
            return;
        }
        let seed = context.seed(region, image_id);
        let is_own_region = region == context.region;
        if context.is_state_change && is_own_region {
            self.copy(seed, ImageState::Available);
            return;
        }
        if context.is_state_change && matches!(seed.state, ImageState::Deregistered | ImageState::Disabled) {
            let copy_id = self.invented_id();
            if !self.images.iter().any(|known| known.copy_of.as_ref().is_some_and(|(_, id)| id == image_id)) {
                let copy_of = Some((region.to_owned(), image_id.to_owned()));
                self.add(Seed { copy_of, ..Seed::new(context.region, &copy_id) });
            }
        }
        self.add(seed);
    }

    /// A copy of the courier's, and its source in this state.
    fn copy(&mut self, copy: Seed, source_state: ImageState) {
        let (source_region, source_id) = SOURCE_OF_A_COPY;
        self.add(Seed { state: source_state, ..Seed::new(source_region, source_id) });
        self.add(Seed { copy_of: Some((source_region.to_owned(), source_id.to_owned())), ..copy });
    }
}

/// The tags that Image Builder puts on an AMI.
fn image_builder_tags(build: &str) -> [(String, String); 2] {
    [("CreatedBy", "EC2 Image Builder"), ("Ec2ImageBuilderArn", build)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
}

/// An object, a list, or another string, inside a string.
fn nested_json(text: &str) -> Option<Value> {
    let may_hold_more = text.trim_start().starts_with(['{', '[', '"']);
    may_hold_more.then(|| serde_json::from_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aws::ACCOUNT;
    use crate::cli::seeding::samples::{REGION, ami_state_change, seeding};

    fn found(event: &Value) -> Vec<(String, String)> {
        seeding(event).images.into_iter().map(|seed| (seed.region, seed.image_id)).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(region, id)| ((*region).to_owned(), (*id).to_owned())).collect()
    }

    #[test]
    fn every_way_to_name_an_ami_is_found() {
        let request = json!({"Name": "n", "SourceImageId": "ami-1", "SourceRegion": "us-east-1"});
        let cases = [
            (request.clone(), vec![("us-east-1", "ami-1")]),
            (ami_state_change("us-east-1", "ami-2", "available"), vec![("us-east-1", "ami-2")]),
            (json!({"x": ["arn:aws-cn:ec2:cn-north-1:111122223333:image/ami-3"]}), vec![("cn-north-1", "ami-3")]),
            (
                json!({"source": "aws.ec2", "detail": {"awsRegion": "us-west-2", "responseElements": {"imageId": "ami-4"}}}),
                vec![("us-west-2", "ami-4")],
            ),
            (
                json!({"builds": [{"artifact_id": "eu-central-1:ami-5,us-east-1:ami-6"}]}),
                vec![("eu-central-1", "ami-5"), ("us-east-1", "ami-6")],
            ),
            (
                json!({"outputResources": {"amis": [{"region": "us-west-1", "image": "ami-7"}]}}),
                vec![("us-west-1", "ami-7")],
            ),
            (json!({"Records": [{"body": request.to_string()}]}), vec![("us-east-1", "ami-1")]),
            (
                json!({"Records": [{"body": json!({"Type": "Notification", "Message": request.to_string()}).to_string()}]}),
                vec![("us-east-1", "ami-1")],
            ),
            (json!(json!(request.to_string()).to_string()), vec![("us-east-1", "ami-1")]),
            (json!({"nothing": "here"}), vec![]),
            (json!("not an event"), vec![]),
        ];
        for (event, expected) in cases {
            assert_eq!(found(&event), pairs(&expected), "{event}");
        }
    }

    #[test]
    fn an_image_builder_event_seeds_the_ami_with_image_builders_tags() {
        let build = "arn:aws:imagebuilder:us-west-2:123456789012:image/golden/1.0.0/1";
        let event = json!({
            "source": "aws.imagebuilder", "account": ACCOUNT, "region": "us-west-2", "resources": [build],
            "detail": {"state": {"status": "AVAILABLE"}},
        });
        let seeds = seeding(&event).images;
        assert_eq!(seeds.len(), 1);
        assert_eq!(seeds[0].region, "us-west-2");
        assert_eq!(seeds[0].tags["Ec2ImageBuilderArn"], build);
        assert_eq!(seeds[0].tags["CreatedBy"], "EC2 Image Builder");
        assert_eq!(seeds[0].owner.as_deref(), Some(ACCOUNT));
    }

    #[test]
    fn an_image_builder_notification_seeds_the_amis_that_it_lists_and_no_other() {
        let build = "arn:aws:imagebuilder:us-west-2:123456789012:image/golden/1.0.0/3";
        let event = json!({
            "arn": build, "versionlessArn": "arn:aws:imagebuilder:us-west-2:123456789012:image/golden",
            "imageRecipe": {"arn": "arn:aws:imagebuilder:us-west-2:123456789012:image-recipe/golden/1.0.0"},
            "outputResources": {"amis": [{"region": "us-west-2", "image": "ami-7", "name": "g", "accountId": ACCOUNT}]},
        });
        let seeds = seeding(&event).images;
        assert_eq!(seeds.len(), 1, "{seeds:?}");
        assert_eq!((seeds[0].image_id.as_str(), seeds[0].name.as_deref()), ("ami-7", Some("g")));
        assert_eq!(seeds[0].tags["Ec2ImageBuilderArn"], build);
    }

    #[test]
    fn a_parameter_change_seeds_the_parameter_and_the_ami_that_it_holds() {
        let event = json!({
            "source": "aws.ssm", "account": ACCOUNT, "region": "us-east-2",
            "resources": ["arn:aws:ssm:us-east-2:123456789012:parameter/golden/ami"],
            "detail": {"operation": "Update", "name": "/golden/ami", "type": "String", "dataType": "aws:ec2:image"},
        });
        let seeds = seeding(&event).images;
        assert_eq!(seeds.len(), 1);
        assert_eq!((seeds[0].region.as_str(), seeds[0].parameter.as_deref()), ("us-east-2", Some("/golden/ami")));
    }

    #[test]
    fn an_ami_state_change_in_the_functions_own_region_is_about_a_copy() {
        let seeds = seeding(&ami_state_change(REGION, "ami-8", "failed")).images;
        let copy = seeds.iter().find(|seed| seed.region == REGION).expect("the copy");
        let source = seeds.iter().find(|seed| seed.region != REGION).expect("its source");
        assert_eq!(copy.copy_of, Some((source.region.clone(), source.image_id.clone())));
        assert_eq!((copy.state, source.state), (ImageState::Failed, ImageState::Available));
    }

    #[test]
    fn a_message_of_the_courier_to_itself_about_a_copy_is_about_a_copy_in_the_functions_own_region() {
        for (kind, source_state) in [
            ("Unfinished", ImageState::Available),
            ("SourceGone", ImageState::Deregistered),
            ("SourceBack", ImageState::Available),
        ] {
            let seeds = seeding(&json!({ "AmiCourier": { kind: { "ImageId": "ami-8" } } })).images;
            let [source, copy] = seeds.as_slice() else { panic!("{seeds:?}") };
            assert_eq!((copy.region.as_str(), copy.image_id.as_str()), (REGION, "ami-8"));
            assert_eq!(copy.copy_of, Some((source.region.clone(), source.image_id.clone())));
            assert_eq!((copy.state, source.state), (ImageState::Available, source_state));
        }
    }

    #[test]
    fn a_source_that_is_gone_leaves_its_copy_behind() {
        let seeds = seeding(&ami_state_change("us-east-1", "ami-9", "deregistered")).images;
        assert_eq!(seeds.len(), 2, "{seeds:?}");
        let source = seeds.iter().find(|seed| seed.image_id == "ami-9").expect("the source");
        let copy = seeds.iter().find(|seed| seed.region == REGION).expect("the copy");
        assert_eq!((source.state, copy.state), (ImageState::Deregistered, ImageState::Available));
        assert_eq!(copy.copy_of, Some(("us-east-1".to_owned(), "ami-9".to_owned())));
    }

    #[test]
    fn the_tags_of_a_tag_change_are_on_the_ami() {
        let event = json!({
            "source": "aws.tag", "account": ACCOUNT, "region": "us-east-1",
            "resources": ["arn:aws:ec2:us-east-1:123456789012:image/ami-1"],
            "detail": {"changed-tag-keys": ["approved"], "service": "ec2", "resource-type": "image", "tags": {"approved": "true"}},
        });
        assert_eq!(seeding(&event).images[0].tags["approved"], "true");
    }
}
