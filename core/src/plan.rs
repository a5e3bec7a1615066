//! The exact `CopyImage` call to make for a source AMI. Pure: no clock, nothing random, nothing of the message.
//!
//! That is what makes a redelivery, or a second announcement of the same AMI, the *same* call: the same parameters give
//! the same client token, and EC2 answers a token it knows with the copy it made before.
//!
//! An announced AMI is planned as a request that says nothing but which AMI: what a request leaves out, the settings
//! decide; what it says, wins.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::announcement::CopyRequest;
use crate::copy_image::{AmiName, ClientToken, CopyImageCall, Description, Destination, Encryption, Tag};
use crate::error::Rejection;
use crate::identity::{Identity, ImageId, Region};
use crate::image::{Image, tag};
use crate::settings::Copying;

/// A call, and what it takes to make it exactly once.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub call: CopyImageCall,
    pub dry_run: bool,
    /// The token of the first try.
    pub token: ClientToken,
    /// Keys of tags for which there was no room.
    pub left_out: Vec<String>,
}

/// Plans the copy of `image`, the AMI that `source` names, into the Region `here`.
///
/// # Errors
/// A name that comes out as EC2 would refuse it, or more explicit tags than a resource can have.
pub fn plan(
    source: &Identity,
    image: &Image,
    request: Option<&CopyRequest>,
    settings: &Copying,
    stack_region: &Region,
) -> Result<Plan, Rejection> {
    let asked = |which: fn(&CopyRequest) -> &Vec<Tag>| request.map(which).cloned().unwrap_or_default();
    // The source's own tags, unless the request leaves them to EC2 (`true`) or wants none (`false`).
    let carry = settings.copy_tags && request.is_none_or(|request| request.copy_image_tags.is_none());
    let own = if carry { own_tags(image) } else { Vec::new() };
    let mut left_out = BTreeSet::new();
    let mut tags = |asked: Vec<Tag>| {
        gathered(&[courier_tags(source, image)?, asked, settings.extra_tags.clone()], &own, source, &mut left_out)
    };
    let call = CopyImageCall {
        source: source.clone(),
        name: match request {
            Some(request) => request.name.clone(),
            None => name(source, image, settings)?,
        },
        description: match request.and_then(|request| request.description.clone()) {
            Some(description) => Some(description),
            None => description(source, image, settings)?,
        },
        encryption: encryption(request, settings, stack_region)?,
        destination: request
            .and_then(|request| request.destination.clone())
            .unwrap_or(Destination::Region { completion: settings.completion }),
        copy_image_tags: request.and_then(|request| request.copy_image_tags),
        image_tags: tags(asked(|request| &request.image_tags))?,
        snapshot_tags: tags(asked(|request| &request.snapshot_tags))?,
    };
    Ok(Plan {
        dry_run: request.and_then(|request| request.dry_run).unwrap_or(settings.dry_run),
        token: match request.and_then(|request| request.client_token.clone()) {
            Some(token) => token,
            None => first_token(&call, stack_region)?,
        },
        left_out: left_out.into_iter().collect(),
        call,
    })
}

/// The namespace of the courier's tokens: a random UUID, made once.
const NAMESPACE: Uuid = Uuid::from_u128(0x6c1f_5f0e_4b1d_4f6a_9a53_0c7d_2e8b_71a4);

/// The token of the first try: a `UUIDv5` of the Region and every parameter, in canonical form.
///
/// # Errors
/// None that can happen: text and numbers can always be written down.
pub fn first_token(call: &CopyImageCall, stack_region: &Region) -> Result<ClientToken, Rejection> {
    // Fields in the order in which they are declared, whatever serde_json's features are in this build.
    let canonical = serde_json::to_string(&(stack_region, in_canonical_order(call))).map_err(|why| {
        Rejection::new("InternalError", format!("no token for {}: {why}", call.source), "report this as a bug")
    })?;
    Ok(token(NAMESPACE, &canonical))
}

/// The token of the next try, after the AMI that `used` led to is found dead.
///
/// EC2 answers a token it knows with the first answer, even when that AMI has failed or is long gone: so its own
/// memory of tokens is the list of tries, and no database is needed to walk it.
#[must_use]
pub fn next_token(used: &ClientToken, dead: &ImageId) -> ClientToken {
    token(NAMESPACE, &format!("{used} {dead}"))
}

fn token(namespace: Uuid, text: &str) -> ClientToken {
    let uuid = Uuid::new_v5(&namespace, text.as_bytes());
    ClientToken::from_uuid(uuid)
}

/// The order of tags means nothing to EC2, so it means nothing to the token.
fn in_canonical_order(call: &CopyImageCall) -> CopyImageCall {
    let mut call = call.clone();
    call.image_tags.sort();
    call.snapshot_tags.sort();
    call
}

fn name(source: &Identity, image: &Image, settings: &Copying) -> Result<AmiName, Rejection> {
    let filled = settings.name.fill(image, &source.region).map_err(|missing| {
        Rejection::new(
            "InvalidAMIName.Malformed",
            format!("COPY_NAME cannot be filled in for {source}: {missing}"),
            "tag the source AMI or change COPY_NAME, then announce the AMI again",
        )
    })?;
    filled.parse().map_err(|why| {
        Rejection::new(
            "InvalidAMIName.Malformed",
            format!("COPY_NAME gives {source} a name that EC2 refuses: {why}"),
            "change COPY_NAME (or the tag in it), then announce the AMI again",
        )
    })
}

fn description(source: &Identity, image: &Image, settings: &Copying) -> Result<Option<Description>, Rejection> {
    let text = match &settings.description {
        Some(template) => template.fill(image, &source.region).map_err(|missing| {
            Rejection::new(
                "InvalidParameterValue",
                format!("COPY_DESCRIPTION cannot be filled in for {source}: {missing}"),
                "tag the source AMI or change COPY_DESCRIPTION, then announce the AMI again",
            )
        })?,
        None => match &image.description {
            Some(own) if !own.is_empty() => own.clone(),
            _ => format!("Copied from {source}"),
        },
    };
    // A description that is too long is worth less than the copy: it is cut.
    let cut: String = text.chars().take(255).collect();
    Ok(cut.parse().ok().filter(|_| !cut.is_empty()))
}

fn encryption(
    request: Option<&CopyRequest>,
    settings: &Copying,
    stack_region: &Region,
) -> Result<Encryption, Rejection> {
    let encryption = request.and_then(|request| request.encryption.as_ref()).unwrap_or(&settings.encryption);
    match encryption.key() {
        // EC2 would take the call, and let the copy fail an hour later.
        Some(key) if !key.can_be_in(stack_region) => Err(Rejection::new(
            "InvalidParameterValue",
            format!("`KmsKeyId` is `{key}`; it must be a key of {stack_region}, where the copy is made"),
            "name a key of that Region and send the request again",
        )),
        _ => Ok(encryption.clone()),
    }
}

fn courier_tags(source: &Identity, image: &Image) -> Result<Vec<Tag>, Rejection> {
    let owner = image.owner.as_ref().map(|owner| (tag::SOURCE_OWNER, owner.to_string()));
    [(tag::SOURCE_IMAGE, source.image.to_string()), (tag::SOURCE_REGION, source.region.to_string())]
        .into_iter()
        .chain(owner)
        .map(|(key, value)| {
            Tag::new(key, value).map_err(|why| Rejection::new("InvalidParameterValue", why.to_string(), ""))
        })
        .collect()
}

/// What the source's owner put on it: nothing of AWS's own, nothing of the courier's.
fn own_tags(image: &Image) -> Vec<Tag> {
    image
        .tags
        .iter()
        .filter(|(key, _)| !key.starts_with(tag::PREFIX))
        .filter_map(|(key, value)| Tag::new(key, value).ok())
        .collect()
}

/// The tags of `must` in order of precedence, then as many of `may` as there is room for; each key once.
fn gathered(
    must: &[Vec<Tag>],
    may: &[Tag],
    source: &Identity,
    left_out: &mut BTreeSet<String>,
) -> Result<Vec<Tag>, Rejection> {
    /// One is kept for `ami-courier:finished`.
    const MOST: usize = Tag::MOST - 1;
    let mut tags: Vec<Tag> = Vec::new();
    for tag in must.iter().flatten() {
        if tags.iter().all(|other| other.key != tag.key) {
            tags.push(tag.clone());
        }
    }
    if tags.len() > MOST {
        return Err(Rejection::new(
            "TagLimitExceeded",
            format!(
                "the copy of {source} would have {} tags with the request's, EXTRA_TAGS and the courier's own; there is room for {}",
                tags.len(),
                MOST
            ),
            "ask for fewer tags",
        ));
    }
    for tag in may {
        if tags.iter().any(|other| other.key == tag.key) {
            continue;
        }
        if tags.len() < MOST {
            tags.push(tag.clone());
        } else {
            left_out.insert(tag.key.clone());
        }
    }
    Ok(tags)
}
