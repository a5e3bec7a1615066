//! What an event must find in AWS: the AMIs that it names, wherever in it they are named.
//!
//! [`Seeding::add_all_of`] walks the event, and the JSON inside its strings, for everything that identifies an AMI, and is
//! pure; [`Seeding::plant`] puts it into a [`World`].

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::options::FunctionOptions;
use crate::aws::{ACCOUNT, Caller, Fate, Image, ImageState, Key, SnapshotState, World};

/// What there is in AWS when the function gets the event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seeding {
    /// The account that the function runs in: the queue's or subscription's, else the event's.
    pub(super) account: String,
    pub(super) images: Vec<Seed>,
    /// KMS keys of the function's Region, as the event and the settings refer to them.
    pub(super) keys: Vec<String>,
}

/// One AMI.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seed {
    pub(super) region: String,
    pub(super) image_id: String,
    /// `None`: a name of our own.
    pub(super) name: Option<String>,
    /// `None`: the account that the function runs in.
    pub(super) owner: Option<String>,
    pub(super) state: ImageState,
    /// On top of those that every seeded AMI has.
    pub(super) tags: BTreeMap<String, String>,
    /// The source AMI, as (Region, id), if this is a copy that ami-courier made.
    pub(super) copy_of: Option<(String, String)>,
    /// The SSM parameter that holds its id.
    pub(super) parameter: Option<String>,
}

impl Seed {
    /// An available AMI without anything special. Several commands share it.
    pub(super) fn new(region: &str, image_id: &str) -> Self {
        Self {
            region: region.to_owned(),
            image_id: image_id.to_owned(),
            name: None,
            owner: None,
            state: ImageState::Available,
            tags: BTreeMap::new(),
            copy_of: None,
            parameter: None,
        }
    }
}

/// The source of an AMI that is announced as a copy.
const SOURCE_OF_A_COPY: (&str, &str) = ("us-east-1", "ami-0123456789abcdef0");

impl Seeding {
    /// What the event names, and what the settings of the function need beside it.
    pub(super) fn of(event: &Value, options: &FunctionOptions) -> Self {
        let mut seeding = Self::in_account(stack_account(event).unwrap_or(ACCOUNT));
        seeding.add_all_of(event, &options.region);
        if is_sweep(event) {
            let regions = options.setting("SOURCE_REGIONS").unwrap_or_default();
            for region in regions.split(',').map(str::trim).filter(|region| !region.is_empty()) {
                let seed = Seed::new(region, &seeding.invented_id());
                seeding.add(seed);
            }
        }
        seeding.keys.extend(options.setting("KMS_KEY_ID").map(str::to_owned));
        seeding
    }

    /// Nothing yet, for a function in this account.
    pub(super) fn in_account(account: &str) -> Self {
        Self { account: account.to_owned(), images: Vec::new(), keys: Vec::new() }
    }

    /// Adds what an event names, for a function in this Region.
    pub(super) fn add_all_of(&mut self, event: &Value, region: &str) {
        self.walk(event, &Context { region, ..Context::default() });
    }

    /// The Regions in which there is an AMI.
    pub(super) fn regions(&self) -> impl Iterator<Item = &str> {
        self.images.iter().map(|seed| seed.region.as_str())
    }

    /// Puts it all into a new world. `region` is the function's.
    ///
    /// The world's clock is set to the present, which is what the function's own clock says; the AMIs are new.
    pub(super) fn plant(&self, world: &mut World, region: &str) {
        if let Ok(past) = (OffsetDateTime::now_utc() - world.now()).try_into() {
            world.advance(past);
        }
        for seed in &self.images {
            let caller =
                Caller { region: seed.region.clone(), account: seed.owner.clone().unwrap_or(self.account.clone()) };
            let now = world.now();
            world.add_image(&seed.region, self.image(seed).created(now));
            if seed.state == ImageState::Deregistered {
                call(world, &caller, "ec2", "DeregisterImage", &json!({ "ImageId": seed.image_id }));
            }
            if let Some(name) = &seed.parameter {
                let parameter =
                    json!({"Name": name, "Value": seed.image_id, "Type": "String", "DataType": "aws:ec2:image"});
                call(world, &caller, "ssm", "PutParameter", &parameter);
            }
        }
        for key in &self.keys {
            world.add_key(region, key_meant_by(key, &self.account));
        }
        // What happened before the event is no news.
        world.take_events();
    }

    /// Its own name, the name of its source, or one that no other has.
    fn name(&self, seed: &Seed) -> String {
        let is_named_like = |other: &Seed| match &seed.copy_of {
            Some((region, id)) => other.region == *region && other.image_id == *id,
            None => other == seed,
        };
        let number = self.images.iter().position(is_named_like).unwrap_or_default() + 1;
        seed.name.clone().unwrap_or_else(|| format!("golden-2026-{number:02}"))
    }

    fn image(&self, seed: &Seed) -> Image {
        let owner = seed.owner.as_ref().unwrap_or(&self.account);
        let mut image =
            Image::new(&seed.image_id, self.name(seed)).owner(owner).tag("family", "golden").tag("team", "platform");
        image.tags.extend(seed.tags.clone());
        if seed.state != ImageState::Deregistered {
            image = image.state(seed.state);
        }
        if seed.state == ImageState::Failed {
            let fate = Fate::key_not_accessible();
            image.state_reason = fate.state_reason;
            for snapshot in &mut image.snapshots {
                snapshot.state = SnapshotState::Error;
                snapshot.state_message.clone_from(&fate.snapshot_message);
            }
        }
        if *owner != self.account {
            image = image.shared_with(&self.account);
        }
        if let Some((region, image_id)) = &seed.copy_of {
            let tags = [("ami-courier:source-image", image_id), ("ami-courier:source-region", region)];
            image = tags.iter().fold(image, |image, (key, value)| image.tag(key, value)).copy_of(image_id, region);
            for snapshot in &mut image.snapshots {
                snapshot.tags.clone_from(&image.tags);
            }
        }
        image
    }

    /// Adds an AMI, or what is new about one that is there already.
    pub(super) fn add(&mut self, seed: Seed) {
        let known = self.images.iter_mut().find(|known| known.region == seed.region && known.image_id == seed.image_id);
        let Some(known) = known else {
            self.images.push(seed);
            return;
        };
        known.name = known.name.take().or(seed.name);
        known.owner = known.owner.take().or(seed.owner);
        known.copy_of = known.copy_of.take().or(seed.copy_of);
        known.parameter = known.parameter.take().or(seed.parameter);
        known.tags.extend(seed.tags);
        if known.state == ImageState::Available {
            known.state = seed.state;
        }
    }

    /// The id of an AMI that the event does not name by id.
    fn invented_id(&self) -> String {
        format!("ami-0f00d{:012x}", self.images.len() + 1)
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
                self.listed(value, fields, &context);
                fields.values().for_each(|field| self.walk(field, &context));
            }
            _ => {}
        }
    }

    /// Pairs of Region and id.
    fn named_by_fields(&mut self, object: &Value, context: &Context<'_>) {
        let pairs = [
            (&object["SourceRegion"], &object["SourceImageId"]),
            (&object["region"], &object["detail"]["ImageId"]),
            (&object["awsRegion"], &object["responseElements"]["imageId"]),
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

    /// An ARN that means an AMI: its own, the Image Builder image that it came from, or a parameter that holds its id.
    fn arn(&mut self, text: &str, context: &Context<'_>) {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", _, service, region, account, resource] = parts[..] else { return };
        let (kind, rest) = resource.split_once('/').unwrap_or((resource, ""));
        match (service, kind) {
            ("ec2", "image") => self.announced(region, rest, context),
            // name/version/build: without a build it is no AMI yet. An AMI that the message lists is this one.
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
                self.add(seed);
            }
            _ => {}
        }
    }

    /// An AMI that the message names by Region and id. What EC2 says of an AMI in our own Region is about a copy.
    fn announced(&mut self, region: &str, image_id: &str, context: &Context<'_>) {
        if !image_id.starts_with("ami-") {
            return;
        }
        let mut seed = context.seed(region, image_id);
        let here = region == context.region;
        if context.is_state_change && here {
            let (source_region, source_id) = SOURCE_OF_A_COPY;
            seed.copy_of = Some((source_region.to_owned(), source_id.to_owned()));
            self.add(Seed::new(source_region, source_id));
        }
        if context.is_state_change && !here && matches!(seed.state, ImageState::Deregistered | ImageState::Disabled) {
            let copy_id = self.invented_id();
            if !self.images.iter().any(|known| known.copy_of.as_ref().is_some_and(|(_, id)| id == image_id)) {
                let copy_of = Some((region.to_owned(), image_id.to_owned()));
                self.add(Seed { copy_of, ..Seed::new(context.region, &copy_id) });
            }
        }
        self.add(seed);
    }

    fn has_tag(&self, key: &str, value: &str) -> bool {
        self.images.iter().any(|seed| seed.tags.get(key).is_some_and(|found| found == value))
    }
}

/// A call that cannot be refused, unless the event names what AWS would never have named: then the function is to
/// find that nothing is there.
fn call(world: &mut World, caller: &Caller, service: &str, action: &str, parameters: &Value) {
    if let Err(error) = world.call(caller, service, action, parameters) {
        eprintln!("{action} in {} was refused: {error:?}", caller.region);
    }
}

/// What the enclosing `EventBridge` event says about the AMIs inside it.
#[derive(Debug, Clone, Default)]
struct Context<'a> {
    /// The function's Region.
    region: &'a str,
    account: Option<String>,
    state: Option<ImageState>,
    is_state_change: bool,
    tags: BTreeMap<String, String>,
    parameter: Option<String>,
}

impl<'a> Context<'a> {
    fn inside(&self, object: &Value) -> Context<'a> {
        let mut context = self.clone();
        let detail = &object["detail"];
        if object["source"].is_string() && detail.is_object() {
            context.account = object["account"].as_str().map(str::to_owned);
            context.is_state_change = object["detail-type"] == "EC2 AMI State Change";
            context.state = match (context.is_state_change, detail["State"].as_str()) {
                (true, Some("failed")) => Some(ImageState::Failed),
                (true, Some("deregistered")) => Some(ImageState::Deregistered),
                (true, Some("disabled")) => Some(ImageState::Disabled),
                _ => None,
            };
            let tags = detail["tags"].as_object().into_iter().flatten();
            context.tags = tags.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
            if object["source"] == "aws.ssm" {
                context.parameter = detail["name"].as_str().map(str::to_owned);
            }
        }
        context
    }

    fn seed(&self, region: &str, image_id: &str) -> Seed {
        Seed {
            owner: self.account.clone(),
            state: self.state.unwrap_or(ImageState::Available),
            tags: self.tags.clone(),
            ..Seed::new(region, image_id)
        }
    }
}

/// The account of the queue or subscription that delivered, else of the event itself.
fn stack_account(event: &Value) -> Option<&str> {
    let record = &event["Records"][0];
    let delivered_by = record["eventSourceARN"].as_str().or(record["EventSubscriptionArn"].as_str());
    delivered_by
        .and_then(|arn| arn.split(':').nth(4))
        .or(event["account"].as_str())
        .filter(|account| is_account(account))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_sweep(event: &Value) -> bool {
    event.get("Sweep").is_some() || event["detail-type"] == "Scheduled Event"
}

/// The tags that Image Builder puts on an AMI.
fn image_builder_tags(build: &str) -> [(String, String); 2] {
    [("CreatedBy", "EC2 Image Builder"), ("Ec2ImageBuilderArn", build)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
}

/// An object, a list, or once more a string, inside a string.
fn nested_json(text: &str) -> Option<Value> {
    let may_hold_more = text.trim_start().starts_with(['{', '[', '"']);
    may_hold_more.then(|| serde_json::from_str(text).ok()).flatten()
}

/// The key that a key id, key ARN, alias or alias ARN means.
fn key_meant_by(reference: &str, account: &str) -> Key {
    let arn: Vec<&str> = reference.splitn(6, ':').collect();
    let (account, resource) = match arn[..] {
        ["arn", _, _, _, account, resource] => (account, resource),
        _ => (account, reference),
    };
    let mut key = match resource.strip_prefix("alias/") {
        Some(alias) => Key::new("1234abcd-12ab-34cd-56ef-1234567890ab").alias(alias),
        None => Key::new(resource.strip_prefix("key/").unwrap_or(resource)),
    };
    account.clone_into(&mut key.account);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGION: &str = "eu-west-1";

    fn ami_state_change(region: &str, image_id: &str, state: &str) -> Value {
        json!({
            "version": "0", "id": "e", "detail-type": "EC2 AMI State Change", "source": "aws.ec2", "account": ACCOUNT,
            "time": "2026-01-01T00:00:00Z", "region": region,
            "resources": [format!("arn:aws:ec2:{region}::image/{image_id}")],
            "detail": {"RequestId": "r", "ImageId": image_id, "State": state, "ErrorMessage": ""},
        })
    }

    fn seeding(event: &Value) -> Seeding {
        let mut seeding = Seeding::in_account(stack_account(event).unwrap_or(ACCOUNT));
        seeding.add_all_of(event, REGION);
        seeding
    }

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
    fn what_ec2_says_of_an_ami_in_the_functions_own_region_is_about_a_copy() {
        let seeds = seeding(&ami_state_change(REGION, "ami-8", "failed")).images;
        let copy = seeds.iter().find(|seed| seed.region == REGION).expect("the copy");
        let source = seeds.iter().find(|seed| seed.region != REGION).expect("its source");
        assert_eq!(copy.copy_of, Some((source.region.clone(), source.image_id.clone())));
        assert_eq!((copy.state, source.state), (ImageState::Failed, ImageState::Available));
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
    fn what_was_found_is_there_and_is_no_news() {
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
    fn a_key_is_known_by_whatever_name_it_is_given() {
        assert_eq!(key_meant_by("alias/copies", ACCOUNT).aliases, ["alias/copies"]);
        assert_eq!(key_meant_by("0d6c-id", ACCOUNT).id, "0d6c-id");
        let key = key_meant_by("arn:aws:kms:eu-west-1:111122223333:key/0d6c-id", ACCOUNT);
        assert_eq!((key.id.as_str(), key.account.as_str()), ("0d6c-id", "111122223333"));
        let event = json!({"SourceImageId": "ami-1", "SourceRegion": "us-east-1", "KmsKeyId": "alias/copies"});
        assert_eq!(seeding(&event).keys, ["alias/copies"]);
    }
}
