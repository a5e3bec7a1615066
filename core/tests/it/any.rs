//! Strategies: any Region, any request, any message of the courier to itself.

use std::collections::BTreeMap;

use proptest::collection::btree_map;
use proptest::option::of;
use proptest::prelude::*;

use courier_core::announcement::{AnnouncedBy, CopyRequest, OwnMessage, Why};
use courier_core::copy_image::{CompletionMinutes, Destination, Encryption, Tag};
use courier_core::identity::{Identity, ImageId, Region};
use courier_core::protocol::Try;
use courier_core::region::KNOWN;

pub(crate) fn region() -> impl Strategy<Value = Region> {
    proptest::sample::select(KNOWN.to_vec()).prop_map(|region| region.parse().unwrap())
}

/// A Region that a stack in eu-west-1 can copy from.
fn region_in_reach() -> impl Strategy<Value = Region> {
    region().prop_filter("another partition", |region| region.partition() == "aws")
}

pub(crate) fn image_id() -> impl Strategy<Value = ImageId> {
    "ami-([0-9a-f]{8}|[0-9a-f]{17})".prop_map(|id| id.parse().unwrap())
}

pub(crate) fn source() -> impl Strategy<Value = Identity> {
    (region_in_reach(), image_id()).prop_map(|(region, image)| Identity { region, image })
}

pub(crate) fn a_try() -> impl Strategy<Value = Try> {
    (any::<u32>(), any::<u32>()).prop_map(|(epoch, number)| Try { epoch, number })
}

pub(crate) fn announced_by() -> impl Strategy<Value = AnnouncedBy> {
    use AnnouncedBy::{Ec2, Ec2OfAnotherAccount, ImageBuilder, Publisher, Sweep};
    proptest::sample::select(vec![Ec2, Ec2OfAnotherAccount, ImageBuilder, Publisher, Sweep])
}

/// Tags that a user can set: neither AWS's nor the courier's.
pub(crate) fn tags(most: usize) -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[b-z\\PC]\\PC{0,8}", "\\PC{0,8}", 0..=most).prop_map(|tags| {
        let reserved = |key: &str| key.to_ascii_lowercase().starts_with("aws:") || key.starts_with("ami-courier:");
        tags.into_iter().filter(|(key, _)| !reserved(key)).collect()
    })
}

fn tag_list(most: usize) -> impl Strategy<Value = Vec<Tag>> {
    let list = |tags: BTreeMap<_, _>| tags.into_iter().map(|(key, value)| Tag { key, value }).collect::<Vec<_>>();
    tags(most).prop_map(list).prop_shuffle()
}

fn encryption() -> impl Strategy<Value = Encryption> {
    prop_oneof![
        Just(Encryption::No),
        Just(Encryption::DefaultKey),
        "alias/[a-z]{1,20}".prop_map(|key| Encryption::Key(key.parse().unwrap())),
    ]
}

fn destination() -> impl Strategy<Value = Destination> {
    let completion = (1..=192_u64).prop_map(|quarters| CompletionMinutes::new(quarters * 15));
    prop_oneof![
        completion.prop_map(|completion| Destination::Region { completion }),
        "eu-west-1[abc]".prop_map(|zone| Destination::Zone(zone.parse().unwrap())),
        "euw1-az[123]".prop_map(|id| Destination::ZoneId(id.parse().unwrap())),
        "arn:aws:outposts:eu-west-1:123456789012:outpost/op-[0-9a-f]{17}"
            .prop_map(|arn| Destination::Outpost(arn.parse().unwrap())),
    ]
}

prop_compose! {
    pub(crate) fn request()(
        source in source(),
        name in "[a-zA-Z0-9()\\[\\] ./'@_-]{3,128}",
        description in of("\\PC{0,60}"),
        encryption in of(encryption()),
        destination in of(destination()),
        copy_image_tags in any::<Option<bool>>(),
        image_tags in tag_list(4),
        snapshot_tags in tag_list(4),
        dry_run in any::<Option<bool>>(),
        client_token in of("[ -~]{1,64}"),
    ) -> CopyRequest {
        CopyRequest {
            source,
            name: name.parse().unwrap(),
            description: description.map(|text| text.parse().unwrap()),
            encryption,
            destination,
            copy_image_tags,
            image_tags,
            snapshot_tags,
            dry_run,
            client_token: client_token.map(|token| token.parse().unwrap()),
        }
    }
}

pub(crate) fn own_message() -> impl Strategy<Value = OwnMessage> {
    prop_oneof![
        source().prop_map(|source| OwnMessage::Missed { source }),
        image_id().prop_map(|copy| OwnMessage::Unfinished { copy }),
        "[a-zA-Z0-9._/-]{1,256}".prop_map(|name| OwnMessage::Elect { name: name.parse().unwrap() }),
        image_id().prop_map(|copy| OwnMessage::SourceGone { copy }),
        image_id().prop_map(|copy| OwnMessage::SourceBack { copy }),
        (source(), a_try()).prop_map(|(source, next)| OwnMessage::NextTry { source, next, request: None }),
        (request(), a_try()).prop_map(|(request, next)| OwnMessage::NextTry {
            source: request.source.clone(),
            next,
            request: Some(Box::new(request)),
        }),
        second_look(),
    ]
}

fn second_look() -> impl Strategy<Value = OwnMessage> {
    let order = prop_oneof![
        (source(), announced_by()).prop_map(|(source, announced_by)| (source, Why::Announced(announced_by))),
        request().prop_map(|request| (request.source.clone(), Why::Requested(Box::new(request)))),
    ];
    (order, a_try(), of(image_id())).prop_map(|((source, why), resume, accepted)| OwnMessage::SecondLook {
        source,
        resume,
        accepted,
        why,
    })
}
