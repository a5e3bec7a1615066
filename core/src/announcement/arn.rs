//! Amazon Resource Names: how an event names the resources that it is about.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>

use serde_json::{Map, Value};

use super::document::Document;
use crate::error::{Error, code};
use crate::identity::{Identity, ImageId, Malformed, Region, Stack, shortened};

/// The ARN of a resource of a known kind.
pub(super) struct Arn<'a> {
    pub(super) text: &'a str,
    pub(super) region: Region,
    /// Empty in ARNs of AMIs and snapshots that some services send.
    pub(super) account: &'a str,
    /// The part after the prefix: `ami-…` in `image/ami-…`.
    pub(super) name: &'a str,
}

/// A kind of resource, by service and prefix.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) service: &'static str,
    /// With its slash: `image/`.
    pub(super) prefix: &'static str,
}

const IMAGE: Kind = Kind { service: "ec2", prefix: "image/" };

/// The resources of this kind that an event names.
pub(super) fn named_in<'a>(event: &Document<'a>, kind: Kind, stack: &Stack) -> Result<Vec<Arn<'a>>, Error> {
    let resources = event.texts("resources")?;
    let of_this_kind = resources.into_iter().filter_map(|text| Some((text, parts(text, kind)?)));
    of_this_kind
        .map(|(text, [partition, region, account, name])| {
            if partition != stack.region.partition() {
                return Err(other_partition(text, partition, stack));
            }
            let region = region.parse().map_err(|why| in_resources(event, text, &why))?;
            Ok(Arn { text, region, account, name })
        })
        .collect()
}

/// The AMIs that an event names.
pub(super) fn images_named_in(event: &Document<'_>, stack: &Stack) -> Result<Vec<Identity>, Error> {
    let arns = named_in(event, IMAGE, stack)?;
    arns.into_iter()
        .map(|arn| {
            let image: ImageId = arn.name.parse().map_err(|why| in_resources(event, arn.text, &why))?;
            Ok(Identity { region: arn.region, image })
        })
        .collect()
}

/// Whether the `resources` of an event name an AMI.
pub(super) fn names_an_image(event: &Map<String, Value>) -> bool {
    let resources = event.get("resources").and_then(Value::as_array).into_iter().flatten();
    resources.filter_map(Value::as_str).any(|text| parts(text, IMAGE).is_some())
}

/// Partition, Region, account and name.
fn parts(text: &str, kind: Kind) -> Option<[&str; 4]> {
    let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
    let (partition, service, region, account) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let name = parts.next()?.strip_prefix(kind.prefix)?;
    (service == kind.service).then_some([partition, region, account, name])
}

fn in_resources(event: &Document<'_>, text: &str, why: &Malformed) -> Error {
    event.wrong("resources", &text.into(), &format!("a list of ARNs, each with {}", why.accepted))
}

/// The rejection of a resource in another partition.
pub(super) fn other_partition(what: &str, partition: &str, stack: &Stack) -> Error {
    Error::rejected(
        code::OTHER_PARTITION,
        format!(
            "`{}` is in the partition `{}`, and this stack is in `{}` ({}): CopyImage cannot copy from one partition to another",
            shortened(what),
            shortened(partition),
            stack.region.partition(),
            stack.region
        ),
        "build the AMI in this partition too, or move it with CreateStoreImageTask and CreateRestoreImageTask",
    )
}
