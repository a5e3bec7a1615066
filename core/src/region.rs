//! Which Regions exist, so that a typing error is rejected at once. A name of the right form may be a Region that AWS added
//! after this list was written.

use crate::error::{Error, code};
use crate::identity::Region;

/// The Regions of all partitions, in November 2026. <https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html>
pub const KNOWN: [&str; 46] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-isoe-west-1",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "us-iso-west-1",
    "us-isob-east-1",
    "us-isob-west-1",
    "us-isof-east-1",
    "us-isof-south-1",
    "us-west-1",
    "us-west-2",
];

const DIRECTIONS: [&str; 9] =
    ["central", "east", "north", "northeast", "northwest", "south", "southeast", "southwest", "west"];

/// Whether the Region is in [`KNOWN`].
pub fn is_known(region: &Region) -> bool {
    KNOWN.contains(&region.as_str())
}

/// Whether the name has the form of AWS's names: AWS may have added the Region after [`KNOWN`] was written.
fn may_be_new(region: &Region) -> bool {
    let parts: Vec<&str> = region.as_str().split('-').collect();
    let (is_place, direction) = match parts.as_slice() {
        [place, direction, _number] => (place.len() == 2, direction),
        // Regions for governments, and of the AWS European Sovereign Cloud.
        [place, partition, direction, _number] => {
            let of_government = place.len() == 2 && (*partition == "gov" || partition.starts_with("iso"));
            (of_government || (*place == "eusc" && partition.len() == 2), direction)
        }
        _ => return false,
    };
    is_place && DIRECTIONS.contains(direction)
}

/// The known Region with the most similar name.
pub fn nearest(region: &Region) -> &'static str {
    // Of two that are as near, the shorter: the longer one has a partition in its name.
    let distance = |known: &&&str| (strsim::damerau_levenshtein(known, region.as_str()), known.len());
    KNOWN.iter().min_by_key(distance).copied().unwrap_or(KNOWN[0])
}

/// Rejects a Region that cannot exist.
///
/// # Errors
/// `NoSuchRegion`, with the known Region that has the most similar name.
pub fn check(region: &Region) -> Result<(), Error> {
    if is_known(region) || may_be_new(region) {
        return Ok(());
    }
    Err(Error::rejected(
        code::NO_SUCH_REGION,
        format!("AWS has no Region `{region}`: did you mean `{}`?", nearest(region)),
        "correct the Region and send the message again",
    ))
}
