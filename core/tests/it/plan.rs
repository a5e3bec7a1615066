//! The planned call, its tags, and the client token of each try.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use courier_core::announcement::{CopyRequest, request};
use courier_core::copy_image::{ClientToken, CompletionMinutes, Destination, Encryption, Tag};
use courier_core::identity::{Identity, Region};
use courier_core::image::{Image, MadeFor, Terms, tag};
use courier_core::origin::Origin;
use courier_core::plan::*;
use courier_core::protocol::Try;
use courier_core::settings::{Copying, Settings};

use crate::any;

/// Room for the tags of users in a plan: twelve places are the courier's.
const OF_USERS: usize = 38;
/// The courier's tags in the calls of these tests: source image, Region and owner, and the stack.
const OF_COURIER: usize = 4;

fn source() -> Identity {
    Identity { region: "us-east-1".parse().unwrap(), image: "ami-0abcdef1234567890".parse().unwrap() }
}

fn stack_region() -> Region {
    "eu-west-1".parse().unwrap()
}

fn image(tags: BTreeMap<String, String>) -> Image {
    Image { name: "golden-1".to_owned(), owner: "123456789012".parse().ok(), tags, ..Image::new(source().image) }
}

fn copying(settings: &[(&str, &str)]) -> Copying {
    let all = [&[("AWS_REGION", "eu-west-1")], settings].concat();
    let of = |name: &str| all.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
    Settings::read(of).unwrap().copying
}

fn tagged(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The plan for an announcement.
fn announced(settings: &[(&str, &str)], tags: &[(&str, &str)]) -> Plan {
    plan(&source(), &image(tagged(tags)), None, &copying(settings), &stack_region()).unwrap()
}

/// The smallest request and these fields.
fn request(more: Value) -> CopyRequest {
    let smallest = json!({ "Name": "golden-1", "SourceImageId": source().image, "SourceRegion": source().region });
    let (Value::Object(mut document), Value::Object(more)) = (smallest, more) else { panic!("no object") };
    document.extend(more);
    request::read(&document).unwrap()
}

fn requested(more: Value, settings: &[(&str, &str)], tags: &[(&str, &str)]) -> Plan {
    plan(&source(), &image(tagged(tags)), Some(&request(more)), &copying(settings), &stack_region()).unwrap()
}

fn token(plan: &Plan, at: Try) -> ClientToken {
    plan.call_of(at, &stack_region()).unwrap().client_token.unwrap()
}

fn a_try(epoch: u32, number: u32) -> Try {
    Try { epoch, number }
}

fn keys(tags: &[Tag]) -> Vec<&str> {
    tags.iter().map(|tag| tag.key.as_str()).collect()
}

#[test]
fn tokens_never_change_between_versions() {
    // A version with other tokens would copy all AMIs that are in progress a second time.
    let announced = announced(&[], &[]);
    assert_eq!(token(&announced, Try::FIRST).as_str(), "0606ab88-92bc-5ece-86ed-1c8ed07d56a6");
    assert_eq!(token(&announced, a_try(1, 2)).as_str(), "99ed935e-2a36-5924-ae67-fea8a89e787a");
    let requested = requested(json!({ "Encrypted": true, "KmsKeyId": "alias/golden" }), &[], &[("team", "platform")]);
    assert_eq!(token(&requested, Try::FIRST).as_str(), "3c0859f0-90bd-5f9f-9032-22709e956218");
    assert_eq!(token(&requested, a_try(1, 2)).as_str(), "481424e4-c687-598e-96bb-ec78718331a4");
}

#[test]
fn every_field_of_a_request_its_region_and_its_try_are_in_the_token() {
    let planned = requested(json!({}), &[], &[]);
    let changed = |change: fn(&mut CopyRequest)| {
        let mut plan = planned.clone();
        let TokenRule::Request(request) = &mut plan.token else { panic!("{:?}", plan.token) };
        change(request);
        token(&plan, Try::FIRST)
    };
    let tokens = [
        token(&planned, Try::FIRST),
        token(&planned, a_try(0, 1)),
        token(&planned, a_try(1, 0)),
        planned.call_of(Try::FIRST, &"eu-west-3".parse().unwrap()).unwrap().client_token.unwrap(),
        changed(|request| request.source.image = "ami-0abcdef1234567891".parse().unwrap()),
        changed(|request| request.source.region = "us-east-2".parse().unwrap()),
        changed(|request| request.name = "golden-2".parse().unwrap()),
        changed(|request| request.description = "golden".parse().ok()),
        changed(|request| request.encryption = Some(Encryption::No)),
        changed(|request| request.encryption = Some(Encryption::DefaultKey)),
        changed(|request| request.encryption = Some(Encryption::Key("alias/images".parse().unwrap()))),
        changed(|request| request.destination = Some(Destination::Region { completion: CompletionMinutes::new(15) })),
        changed(|request| request.destination = Some(Destination::Zone("eu-west-1a".parse().unwrap()))),
        changed(|request| request.copy_image_tags = Some(false)),
        changed(|request| request.copy_image_tags = Some(true)),
        changed(|request| request.image_tags.push(Tag::new("a", "b").unwrap())),
        changed(|request| request.snapshot_tags.push(Tag::new("a", "b").unwrap())),
        token(&announced(&[], &[]), Try::FIRST),
    ];
    let distinct: BTreeSet<&str> = tokens.iter().map(ClientToken::as_str).collect();
    assert_eq!(distinct.len(), tokens.len(), "{tokens:?}");
}

/// During a deployment, functions with old and new settings can get the same request. EC2 then refuses the second call.
#[test]
fn the_token_of_a_request_is_the_same_with_any_settings_and_tags_of_the_source() {
    let [one, other] = [
        requested(json!({}), &[], &[("team", "platform")]),
        requested(json!({}), &[("EXTRA_TAGS", "team=security"), ("COPY_DESCRIPTION", "by {account}")], &[]),
    ];
    assert_ne!(one.call, other.call);
    for at in [Try::FIRST, a_try(1, 2)] {
        assert_eq!(token(&one, at), token(&other, at));
    }
}

#[test]
fn a_requests_own_token_is_used_as_it_is_for_each_try() {
    let plan = requested(json!({ "ClientToken": "mine" }), &[], &[]);
    for at in [Try::FIRST, a_try(0, 1), a_try(3, 0)] {
        assert_eq!(token(&plan, at).as_str(), "mine");
    }
}

#[test]
fn a_dry_run_has_no_token_of_the_couriers() {
    let dry_run = |plan: Plan| {
        assert!(plan.call.dry_run);
        let attempt = plan.call_of(Try::FIRST, &stack_region()).unwrap();
        assert!(attempt.dry_run);
        assert!(!keys(&attempt.image_tags).contains(&tag::TRY), "nothing is made, so no try is recorded");
        attempt.client_token
    };
    assert_eq!(dry_run(announced(&[("DRY_RUN", "true")], &[])), None);
    assert_eq!(dry_run(requested(json!({ "DryRun": true }), &[], &[])), None);
    assert_eq!(dry_run(requested(json!({}), &[("DRY_RUN", "true")], &[])), None);
    let own = requested(json!({ "DryRun": true, "ClientToken": "mine" }), &[], &[]);
    assert_eq!(dry_run(own), Some("mine".parse().unwrap()));
    let real = requested(json!({ "DryRun": false }), &[("DRY_RUN", "true")], &[]);
    assert!(!real.call.dry_run && !real.call_of(Try::FIRST, &stack_region()).unwrap().dry_run);
}

#[test]
fn the_copy_records_its_try_on_image_and_snapshots_but_for_the_very_first_of_an_announcement() {
    let recorded = |plan: &Plan, at: Try| {
        let call = plan.call_of(at, &stack_region()).unwrap();
        let values = [&call.image_tags, &call.snapshot_tags].map(|tags| {
            assert!(tags.is_sorted(), "{tags:?}");
            tags.iter().find(|tag| tag.key == tag::TRY).map(|tag| tag.value.clone())
        });
        assert_eq!(values[0], values[1]);
        values[0].clone()
    };
    let announced = announced(&[], &[("team", "platform")]);
    let requested = requested(json!({}), &[], &[]);
    assert_eq!(recorded(&announced, Try::FIRST), None);
    assert_eq!(recorded(&announced, a_try(0, 1)).as_deref(), Some("0.1"));
    assert_eq!(recorded(&announced, a_try(12, 0)).as_deref(), Some("12.0"));
    assert_eq!(recorded(&requested, Try::FIRST).as_deref(), Some("request 0.0"));
    assert_eq!(recorded(&requested, a_try(2, 3)).as_deref(), Some("request 2.3"));
}

#[test]
fn tags_are_gathered_in_order_of_precedence_and_what_does_not_fit_is_named() {
    let own: Vec<(String, String)> = (0..60).map(|n| (format!("key-{n:02}"), "own".to_owned())).collect();
    let own: Vec<(&str, &str)> = own.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let plan = announced(&[("EXTRA_TAGS", "key-03=extra,team=platform")], &own);
    let tags = &plan.call.image_tags;
    for key in [tag::SOURCE_IMAGE, tag::SOURCE_REGION, tag::SOURCE_OWNER, "key-03", "team"] {
        assert!(keys(tags).contains(&key), "{key}");
    }
    assert!(tags.contains(&Tag::new("key-03", "extra").unwrap()));
    assert!(tags.contains(&Tag::new("key-04", "own").unwrap()));
    assert_eq!((tags.len(), tags), (OF_COURIER + OF_USERS, &plan.call.snapshot_tags));
    assert_eq!(plan.left_out.len() + tags.len(), OF_COURIER + 1 + 60);
    assert!(plan.left_out.contains(&"key-59".to_owned()), "{:?}", plan.left_out);
    let requested = requested(
        json!({ "TagSpecifications": [{ "ResourceType": "image", "Tags": [{ "Key": "team", "Value": "request" }] }] }),
        &[("EXTRA_TAGS", "team=extra,a=extra")],
        &[("a", "own"), ("b", "own")],
    );
    let value = |tags: &[Tag], key: &str| tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.clone());
    let (image, snapshot) = (&requested.call.image_tags, &requested.call.snapshot_tags);
    assert_eq!(["team", "a", "b"].map(|key| value(image, key).unwrap()), ["request", "extra", "own"]);
    assert_eq!(["team", "a", "b"].map(|key| value(snapshot, key).unwrap()), ["extra", "extra", "own"]);
}

#[test]
fn more_explicit_tags_than_there_is_room_for_are_rejected_not_left_out() {
    let with = |tags: usize| {
        let tags: Vec<Value> = (0..tags).map(|n| json!({ "Key": format!("k{n}"), "Value": "" })).collect();
        let request = request(json!({ "TagSpecifications": [{ "ResourceType": "snapshot", "Tags": tags }] }));
        plan(&source(), &image(BTreeMap::new()), Some(&request), &copying(&[]), &stack_region())
    };
    assert_eq!(with(OF_USERS).unwrap().call.snapshot_tags.len(), OF_COURIER + OF_USERS);
    let rejection = with(OF_USERS + 1).unwrap_err();
    assert_eq!(rejection.code, "TagLimitExceeded");
    assert!(rejection.message.contains("39 tags") && rejection.message.contains("room for 38"), "{rejection}");
}

#[test]
fn shared_tags_go_to_the_image_only_and_before_the_sources_other_tags() {
    let shared = "ec2:SharedTag/team";
    let of_source = [(shared, "infra"), ("z", "1")];
    let plan = announced(&[("EXTRA_TAGS", "ec2:SharedTag/by=setting,extra=1")], &of_source);
    let of_user = |tags: &[Tag]| -> Vec<String> {
        let keys = tags.iter().map(|tag| tag.key.clone());
        keys.filter(|key| !key.starts_with(tag::PREFIX)).collect()
    };
    assert_eq!(of_user(&plan.call.image_tags), ["ec2:SharedTag/by", shared, "extra", "z"]);
    assert_eq!(of_user(&plan.call.snapshot_tags), ["extra", "z"]);
    let many: Vec<String> = (0..49).map(|n| format!("a{n}")).collect();
    let mut tags: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "x")).collect();
    tags.push((shared, "infra"));
    let full = announced(&[], &tags);
    assert_eq!(
        (full.call.image_tags.len(), full.call.snapshot_tags.len()),
        (OF_COURIER + OF_USERS, OF_COURIER + OF_USERS)
    );
    assert!(keys(&full.call.image_tags).contains(&shared), "{:?}", full.left_out);
}

#[test]
fn a_shared_copy_says_its_origin_on_the_image_and_any_copy_hands_one_on() {
    let origin = |settings: &[(&str, &str)], tags: &[(&str, &str)]| {
        let call = announced(settings, tags).call;
        assert!(!keys(&call.snapshot_tags).contains(&tag::ORIGIN), "EC2 refuses it there");
        call.image_tags.into_iter().find(|it| it.key == tag::ORIGIN).map(|it| it.value)
    };
    let shares = [("SHARE_WITH", "111122223333")];
    let first = "444455556666/us-west-2/ami-5731123e";
    assert_eq!(origin(&[], &[]), None);
    assert_eq!(origin(&shares, &[]).as_deref(), Some("123456789012/us-east-1/ami-0abcdef1234567890"));
    assert_eq!(origin(&shares, &[(tag::ORIGIN, first)]).as_deref(), Some(first));
    assert_eq!(origin(&[], &[(tag::ORIGIN, first)]).as_deref(), Some(first));
}

#[test]
fn announcements_of_one_origin_share_the_token_of_each_try() {
    let region = stack_region();
    let first = announced(&[], &[]);
    let again = Identity { region: region.clone(), image: "ami-5731123e".parse().unwrap() };
    let says = |origin: &str| image(tagged(&[(tag::ORIGIN, origin)]));
    let of = |image: &Image| plan(&again, image, None, &copying(&[]), &region).unwrap();
    let handed_on = of(&says("123456789012/us-east-1/ami-0abcdef1234567890"));
    let of_another = of(&says("123456789012/us-east-1/ami-0fedcba9876543210"));
    for at in [Try::FIRST, a_try(0, 1), a_try(2, 3)] {
        assert_eq!(token(&first, at), token(&handed_on, at));
        assert_ne!(token(&first, at), token(&of_another, at));
        assert_ne!(token(&first, at), token(&of(&image(BTreeMap::new())), at));
    }
    assert_ne!(first.call_of(Try::FIRST, &region).unwrap(), handed_on.call_of(Try::FIRST, &region).unwrap());
}

#[test]
fn what_the_courier_or_aws_put_on_the_source_is_not_carried_over() {
    let plan = announced(&[], &[("ami-courier:finished", "once"), ("aws:x", "y"), ("team", "platform")]);
    let expected = [tag::SOURCE_IMAGE, tag::SOURCE_OWNER, tag::SOURCE_REGION, tag::STACK, "team"];
    assert_eq!(keys(&plan.call.image_tags), expected);
    assert_eq!(keys(&plan.call.snapshot_tags), expected);
}

#[test]
fn ec2_is_asked_for_a_sources_tags_only_where_none_of_them_is_the_couriers() {
    let request = json!({ "CopyImageTags": true });
    let plain = requested(request.clone(), &[], &[("team", "platform")]).call;
    assert_eq!(plain.copy_image_tags, Some(true));
    assert!(!keys(&plain.image_tags).contains(&"team"), "EC2 carries it over");
    let copy = requested(request, &[], &[(tag::FINISHED, "2026-01-01T00:00:00Z"), ("team", "platform")]).call;
    assert_eq!(copy.copy_image_tags, None);
    assert!(keys(&copy.image_tags).contains(&"team") && !keys(&copy.image_tags).contains(&tag::FINISHED));
    assert!(!keys(&copy.snapshot_tags).contains(&"team"), "EC2 would not tag the snapshots either");
    let none = requested(json!({ "CopyImageTags": false }), &[], &[(tag::FINISHED, "x"), ("team", "platform")]).call;
    assert_eq!(none.copy_image_tags, Some(false));
    assert!(!keys(&none.image_tags).contains(&"team") && !keys(&none.snapshot_tags).contains(&"team"));
}

#[test]
fn what_a_request_leaves_out_the_settings_decide_and_what_it_says_wins() {
    let settings = [
        ("COPY_NAME", "copy-{name}"),
        ("COPY_DESCRIPTION", "of {image_id}"),
        ("KMS_KEY_ID", "alias/setting"),
        ("SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES", "60"),
    ];
    let minutes = |minutes| Destination::Region { completion: CompletionMinutes::new(minutes) };
    let key = |alias: &str| Encryption::Key(alias.parse().unwrap());
    let announced = announced(&settings, &[]).call;
    assert_eq!(announced.name.as_str(), "copy-golden-1");
    let bare = requested(json!({}), &settings, &[]).call;
    assert_eq!(bare.name.as_str(), "golden-1");
    for call in [announced, bare] {
        assert_eq!(call.description.unwrap().as_str(), "of ami-0abcdef1234567890");
        assert_eq!((call.encryption, call.destination), (key("alias/setting"), minutes(60)));
    }
    let said = json!({
        "Description": "mine", "Encrypted": true, "KmsKeyId": "alias/mine", "SnapshotCopyCompletionDurationMinutes": 15,
    });
    let said = requested(said, &settings, &[]).call;
    assert_eq!(said.description.unwrap().as_str(), "mine");
    assert_eq!((said.encryption, said.destination), (key("alias/mine"), minutes(15)));
}

#[test]
fn a_key_of_another_region_is_rejected_before_ec2_lets_the_copy_fail() {
    let key = "arn:aws:kms:us-east-1:123456789012:alias/golden";
    let request = request(json!({ "Encrypted": true, "KmsKeyId": key }));
    let rejection =
        plan(&source(), &image(BTreeMap::new()), Some(&request), &copying(&[]), &stack_region()).unwrap_err();
    assert_eq!(rejection.code, "InvalidParameterValue");
    assert!(rejection.message.contains(key) && rejection.message.contains("eu-west-1"), "{rejection}");
}

#[test]
fn a_name_that_ec2_would_refuse_is_rejected_with_the_rule() {
    let refused = |template: &str| {
        let image = image(tagged(&[("Build", "a:b")]));
        plan(&source(), &image, None, &copying(&[("COPY_NAME", template)]), &stack_region()).unwrap_err().to_string()
    };
    assert!(refused("{tag:Build}").contains("`a:b` is not an AMI name (3 to 128 of"));
    assert!(refused(&"{name}".repeat(20)).contains("3 to 128"));
    assert!(refused("x-{tag:Role}").contains("the source AMI has no tag `Role`"));
}

#[test]
fn a_description_is_the_sources_or_says_where_the_copy_is_from_and_a_long_one_is_cut() {
    let description = |own: &str, settings: &[(&str, &str)]| {
        let image = Image { description: Some(own.to_owned()), ..image(tagged(&[("Notes", &"ü".repeat(256))])) };
        let call = plan(&source(), &image, None, &copying(settings), &stack_region()).unwrap().call;
        call.description.unwrap().to_string()
    };
    assert_eq!(description("own", &[]), "own");
    assert_eq!(description("", &[]), "Copied from ami-0abcdef1234567890 in us-east-1");
    assert_eq!(description("own", &[("COPY_DESCRIPTION", "{tag:Notes}")]), "ü".repeat(255));
}

/// Settings of all kinds that change the call.
fn any_settings() -> impl Strategy<Value = Copying> {
    let optional = |variable: &'static str, value: BoxedStrategy<String>| {
        proptest::option::of(value).prop_map(move |value| value.map(|value| (variable, value)))
    };
    let settings = [
        optional("COPY_NAME", "[a-z]{3,20}-\\{name\\}".boxed()),
        optional("COPY_DESCRIPTION", "[a-z ]{1,40}".boxed()),
        optional("KMS_KEY_ID", "alias/[a-z]{1,20}".boxed()),
        optional("COPY_TAGS", "true|false".boxed()),
        optional("EXTRA_TAGS", "[a-m]{1,8}=[a-z]{0,8},[n-z]{1,8}=[a-z]{0,8}".boxed()),
        optional("SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES", "15|30|2880".boxed()),
    ];
    settings.to_vec().prop_map(|settings| {
        let settings: Vec<_> = settings.into_iter().flatten().collect();
        copying(&settings.iter().map(|(variable, value)| (*variable, value.as_str())).collect::<Vec<_>>())
    })
}

/// What the tag `ami-courier:try` of a plan's first try says.
fn made_for(plan: &Plan) -> Option<String> {
    let call = plan.call_of(Try::FIRST, &stack_region()).unwrap();
    let of = |tags: &[Tag]| tags.iter().find(|tag| tag.key == tag::TRY).map(|tag| tag.value.clone());
    assert_eq!(of(&call.image_tags), of(&call.snapshot_tags));
    of(&call.image_tags)
}

#[test]
fn the_copy_of_a_request_records_whether_it_was_selected_and_whether_it_is_in_a_zone() {
    let zone = json!({ "DestinationAvailabilityZone": "eu-west-1a" });
    let outpost =
        json!({ "DestinationOutpostArn": "arn:aws:outposts:eu-west-1:123456789012:outpost/op-0123456789abcdef0" });
    let of = |more: Value| requested(more, &[], &[]);
    assert_eq!(made_for(&of(json!({}))).as_deref(), Some("request 0.0"));
    assert_eq!(made_for(&of(json!({})).unselected()).as_deref(), Some("request 0.0 unselected"));
    assert_eq!(made_for(&of(zone.clone())).as_deref(), Some("request 0.0 zone"));
    assert_eq!(made_for(&of(outpost)).as_deref(), Some("request 0.0 zone"));
    assert_eq!(made_for(&of(zone).unselected()).as_deref(), Some("request 0.0 unselected zone"));
    assert_eq!(made_for(&of(json!({ "SnapshotCopyCompletionDurationMinutes": 15 }))).as_deref(), Some("request 0.0"));
    assert_eq!(made_for(&announced(&[], &[])), None);
}

#[test]
fn what_a_copy_records_of_its_family_and_its_request_changes_no_token() {
    let origin: Origin = "123456789012/us-east-1/ami-5731123e".parse().unwrap();
    let sibling = announced(&[], &[]).of_family(&origin);
    assert_eq!(token(&sibling, Try::FIRST), token(&announced(&[], &[]), Try::FIRST));
    let recorded = Tag { key: tag::FAMILY.to_owned(), value: origin.to_string() };
    for tags in [&sibling.call.image_tags, &sibling.call.snapshot_tags] {
        assert!(tags.contains(&recorded) && tags.is_sorted(), "{tags:?}");
    }
    let request = || requested(json!({}), &[], &[]);
    assert_eq!(token(&request().unselected(), Try::FIRST), token(&request(), Try::FIRST));
}

proptest! {
    #[test]
    fn the_token_of_an_announcement_is_of_source_region_and_try_and_of_nothing_else(
        settings in any_settings(),
        tags in any::tags(10),
        description in any::<Option<String>>(),
        at in any::a_try(),
    ) {
        let changed = Image { name: "other".to_owned(), description, owner: None, ..image(tags) };
        let plan = plan(&source(), &changed, None, &settings, &stack_region()).unwrap();
        prop_assert_eq!(token(&plan, at), token(&announced(&[], &[]), at));
    }

    #[test]
    fn announcements_that_differ_in_source_region_or_try_have_different_tokens(
        one in (any::source(), any::region(), any::a_try()),
        other in (any::source(), any::region(), any::a_try()),
    ) {
        let token = |(source, region, at): &(Identity, Region, Try)| {
            let plan = plan(source, &image(BTreeMap::new()), None, &copying(&[]), region).unwrap();
            plan.call_of(*at, region).unwrap().client_token
        };
        let (source, region, at) = one.clone();
        for changed in [
            (other.0.clone(), region.clone(), at),
            (Identity { image: other.0.image.clone(), ..source.clone() }, region.clone(), at),
            (Identity { region: other.0.region.clone(), ..source.clone() }, region.clone(), at),
            (source.clone(), other.1.clone(), at),
            (source.clone(), region.clone(), Try { epoch: other.2.epoch, ..at }),
            (source.clone(), region.clone(), Try { number: other.2.number, ..at }),
            other,
        ] {
            prop_assert_eq!(token(&changed) == token(&one), changed == one);
        }
    }

    #[test]
    fn requests_have_the_same_token_when_they_ask_for_the_same_and_only_then(
        (mut one, other) in (any::request(), any::request()),
        tags in any::tags(10),
        settings in any_settings(),
        (at, then) in (any::a_try(), any::a_try()),
        turn in any::<prop::sample::Index>(),
    ) {
        let planned = |request: &CopyRequest| {
            let request = CopyRequest { client_token: None, dry_run: None, ..request.clone() };
            plan(&request.source, &image(tags.clone()), Some(&request), &settings, &stack_region()).unwrap()
        };
        let (first, second) = (planned(&one), planned(&other));
        let asked = |request: &CopyRequest| {
            let mut document = CopyRequest { client_token: None, dry_run: None, ..request.clone() };
            document.image_tags.sort();
            document.snapshot_tags.sort();
            document
        };
        prop_assert_eq!(token(&first, at) == token(&second, at), asked(&one) == asked(&other));
        prop_assert_eq!(token(&first, at) == token(&first, then), at == then);
        // The order in which a request names its tags does not matter.
        let places = one.image_tags.len().max(1);
        one.image_tags.rotate_left(turn.index(places));
        one.snapshot_tags.reverse();
        let again = planned(&one);
        prop_assert_eq!(token(&again, at), token(&first, at));
        prop_assert_eq!(again.call, first.call);
    }

    #[test]
    fn one_try_is_always_the_same_call(request in any::request(), tags in any::tags(10), at in any::a_try()) {
        let image = image(tags);
        let attempt = |request: Option<&CopyRequest>, source: &Identity| {
            plan(source, &image, request, &copying(&[]), &stack_region()).unwrap().call_of(at, &stack_region()).unwrap()
        };
        prop_assert_eq!(attempt(Some(&request), &request.source), attempt(Some(&request), &request.source));
        prop_assert_eq!(attempt(None, &source()), attempt(None, &source()));
    }

    #[test]
    fn whatever_tags_a_source_has_the_call_stays_within_ec2s_rules(
        tags in proptest::collection::btree_map("\\PC{1,3}|[äz]{120,140}", "\\PC{0,3}|[äz]{250,260}", 0..80),
        at in any::a_try(),
    ) {
        let plan = plan(&source(), &image(tags), None, &copying(&[]), &stack_region()).unwrap();
        prop_assert!(plan.call.image_tags.len() <= OF_COURIER + OF_USERS);
        for tags in { let call = plan.call_of(at, &stack_region()).unwrap(); [call.image_tags, call.snapshot_tags] } {
            let distinct: BTreeSet<&str> = tags.iter().map(|tag| tag.key.as_str()).collect();
            prop_assert_eq!(distinct.len(), tags.len());
            prop_assert!(tags.len() < Tag::MOST, "one is kept for `{}`", tag::FINISHED);
            prop_assert!(tags.is_sorted());
            prop_assert!(tags.iter().all(|tag| Tag::new(&tag.key, &tag.value).is_ok()));
        }
    }

    #[test]
    fn the_tag_of_a_try_is_read_as_it_was_written(at in any::a_try(), value in "\\PC{0,20}|(request )?[0-9]{1,11}[.]?[0-9]{0,11}") {
        let terms = [(false, false), (false, true), (true, false), (true, true)];
        let requests = terms.map(|(unselected, in_zone)| MadeFor::Request(at, Terms { unselected, in_zone }));
        for made_for in [MadeFor::Announcement(at)].into_iter().chain(requests) {
            let tags = made_for.tag().map(|value| (tag::TRY.to_owned(), value)).into_iter().collect();
            prop_assert_eq!(image(tags).made_for(), Some(made_for));
        }
        if let Some(made_for) = image(tagged(&[(tag::TRY, &value)])).made_for() {
            prop_assert_eq!(made_for.tag().unwrap_or(value.clone()), value);
        }
    }

    #[test]
    fn templates_are_refused_or_filled_and_never_panic(text in "\\PC{0,200}") {
        if let Some(template) = courier_core::naming::Template::parse(&text) {
            let _ = template.fill(&image(BTreeMap::new()), &stack_region());
        }
    }
}
