use std::collections::BTreeMap;

use proptest::prelude::*;

use courier_core::plan::*;
use courier_core::copy_image::{CompletionMinutes, Encryption};
use courier_core::image::State;
use courier_core::settings::Settings;

fn source() -> Identity {
    Identity { region: "us-east-1".parse().unwrap(), image: "ami-0abcdef1234567890".parse().unwrap() }
}

fn stack_region() -> Region {
    "eu-west-1".parse().unwrap()
}

fn image(tags: BTreeMap<String, String>) -> Image {
    Image {
        id: source().image,
        name: "golden-1".to_owned(),
        description: None,
        owner: "123456789012".parse().ok(),
        state: State::Available,
        state_reason: None,
        created: None,
        deprecated_from: None,
        last_launched: None,
        protected: false,
        tags,
        volumes: Vec::new(),
        source: None,
    }
}

fn copying(settings: &[(&str, &str)]) -> Copying {
    let of =
        |name: &str| settings.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
    Settings::read(|name| if name == "AWS_REGION" { Some("eu-west-1".to_owned()) } else { of(name) })
        .unwrap()
        .copying
}

fn planned(settings: &[(&str, &str)], tags: &[(&str, &str)]) -> Plan {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    plan(&source(), &image(tags), None, &copying(settings), &stack_region()).unwrap()
}

#[test]
fn the_token_of_a_call_never_changes_between_versions() {
    // A new version of the courier that changed it would copy everything that is under way once more.
    assert_eq!(planned(&[], &[]).token.as_str(), "4de2951c-6bbc-5cbe-82d4-486188f53a57");
}

#[test]
fn every_parameter_of_the_call_and_the_region_are_in_the_token() {
    let call = planned(&[], &[]).call;
    let changed = |change: fn(&mut CopyImageCall)| {
        let mut call = call.clone();
        change(&mut call);
        first_token(&call, &stack_region()).unwrap()
    };
    let tag = || Tag::new("a", "b").unwrap();
    let tokens = [
        first_token(&call, &stack_region()).unwrap(),
        first_token(&call, &"eu-west-3".parse().unwrap()).unwrap(),
        changed(|call| call.source.image = "ami-0abcdef1234567891".parse().unwrap()),
        changed(|call| call.source.region = "us-east-2".parse().unwrap()),
        changed(|call| call.name = "golden-2".parse().unwrap()),
        changed(|call| call.description = None),
        changed(|call| call.encryption = Encryption::No),
        changed(|call| call.encryption = Encryption::DefaultKey),
        changed(|call| call.encryption = Encryption::Key("alias/images".parse().unwrap())),
        changed(|call| call.destination = Destination::Region { completion: CompletionMinutes::new(15) }),
        changed(|call| call.destination = Destination::Zone("eu-west-1a".parse().unwrap())),
        changed(|call| call.copy_image_tags = Some(false)),
        changed(|call| call.copy_image_tags = Some(true)),
        {
            let mut call = call.clone();
            call.image_tags.push(tag());
            first_token(&call, &stack_region()).unwrap()
        },
        {
            let mut call = call.clone();
            call.snapshot_tags.push(tag());
            first_token(&call, &stack_region()).unwrap()
        },
    ];
    let distinct: BTreeSet<&str> = tokens.iter().map(ClientToken::as_str).collect();
    assert_eq!(distinct.len(), tokens.len(), "{tokens:?}");
}

#[test]
fn a_chain_of_tokens_follows_from_the_first_and_the_dead_amis_alone() {
    let first = planned(&[], &[]).token;
    let dead: ImageId = "ami-0123456789abcdef0".parse().unwrap();
    let other: ImageId = "ami-0123456789abcdef1".parse().unwrap();
    assert_eq!(next_token(&first, &dead), next_token(&first, &dead));
    assert_ne!(next_token(&first, &dead), next_token(&first, &other));
    assert_ne!(next_token(&first, &dead), first);
}

#[test]
fn tags_come_in_order_of_precedence_and_what_does_not_fit_is_named() {
    let own: Vec<(String, String)> = (0..60).map(|n| (format!("key-{n:02}"), "own".to_owned())).collect();
    let own: Vec<(&str, &str)> = own.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let plan = planned(&[("EXTRA_TAGS", "key-03=extra,team=platform")], &own);
    let keys: Vec<&str> = plan.call.image_tags.iter().map(|tag| tag.key.as_str()).collect();
    assert_eq!(keys[..5], [tag::SOURCE_IMAGE, tag::SOURCE_REGION, tag::SOURCE_OWNER, "key-03", "team"]);
    assert!(plan.call.image_tags.contains(&Tag::new("key-03", "extra").unwrap()));
    assert!(plan.call.image_tags.len() <= Tag::MOST && plan.call.image_tags == plan.call.snapshot_tags);
    assert_eq!(plan.left_out.len() + plan.call.image_tags.len(), 3 + 1 + 60);
    assert!(plan.left_out.contains(&"key-59".to_owned()), "{:?}", plan.left_out);
}

#[test]
fn what_the_courier_or_aws_put_on_the_source_is_not_carried_over() {
    let plan = planned(&[], &[("ami-courier:finished", "once"), ("aws:x", "y"), ("team", "platform")]);
    let keys: Vec<&str> = plan.call.image_tags.iter().skip(3).map(|tag| tag.key.as_str()).collect();
    assert_eq!(keys, ["team"]);
}

#[test]
fn a_name_that_ec2_would_refuse_is_rejected_with_the_rule() {
    let refused = |template: &str| {
        let image = image(BTreeMap::from([("Build".to_owned(), "a:b".to_owned())]));
        plan(&source(), &image, None, &copying(&[("COPY_NAME", template)]), &stack_region()).unwrap_err().to_string()
    };
    assert!(refused("{tag:Build}").contains("`a:b` is not an AMI name (3 to 128 of"));
    assert!(refused(&"{name}".repeat(20)).contains("3 to 128"));
    assert!(refused("x-{tag:Role}").contains("the source AMI has no tag `Role`"));
}

proptest! {
    #[test]
    fn the_order_of_tags_means_nothing_to_the_token(
        tags in proptest::collection::btree_map("[a-z]{1,8}", "[a-z]{0,8}", 0..20),
        seed in any::<u64>(),
    ) {
        let mut call = plan(&source(), &image(tags), None, &copying(&[]), &stack_region()).unwrap().call;
        let token = first_token(&call, &stack_region()).unwrap();
        let len = call.image_tags.len();
        call.image_tags.rotate_left(usize::try_from(seed % len as u64).unwrap());
        call.snapshot_tags.reverse();
        prop_assert_eq!(first_token(&call, &stack_region()).unwrap(), token);
    }

    #[test]
    fn whatever_tags_a_source_has_the_plan_stays_within_ec2s_rules(
        tags in proptest::collection::btree_map("\\PC{1,140}", "\\PC{0,300}", 0..80),
    ) {
        let plan = plan(&source(), &image(tags), None, &copying(&[]), &stack_region()).unwrap();
        prop_assert!(plan.call.image_tags.len() <= Tag::MOST);
        let keys: BTreeSet<&str> = plan.call.image_tags.iter().map(|tag| tag.key.as_str()).collect();
        prop_assert_eq!(keys.len(), plan.call.image_tags.len());
    }

    #[test]
    fn templates_are_refused_or_filled_and_never_panic(text in "\\PC{0,200}") {
        if let Some(template) = courier_core::naming::Template::parse(&text) {
            let _ = template.fill(&image(BTreeMap::new()), &stack_region());
        }
    }
}
