//! The exact `CopyImage` call for a source AMI. It depends on no clock, no random number and no envelope of a message.
//!
//! A field of a request wins over a setting; the settings decide what the request leaves out. An announcement leaves out
//! everything but the AMI.
//!
//! [`Plan::call_of`] adds what differs between tries: the tag that records the try, and the client token. The same try is
//! always the same call.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::announcement::CopyRequest;
use crate::copy_image::{AmiName, ClientToken, CopyImageCall, Description, Destination, Encryption, Tag};
use crate::error::{Error, Remedy, code};
use crate::identity::{Identity, Region};
use crate::image::tag::is_couriers;
use crate::image::{Image, MadeFor, Terms, tag};
use crate::origin::Origin;
use crate::protocol::Try;
use crate::settings::Copying;

/// A call, and the rule for its client token.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The call without what differs between tries.
    pub call: CopyImageCall,
    pub token: TokenRule,
    /// What the copy of a request is marked with.
    terms: Terms,
    /// The keys of the source's tags that did not fit.
    pub left_out: Vec<String>,
}

/// What the client token depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenRule {
    /// For an announcement: origin (the source itself, unless its tag names an earlier AMI), Region and try. Not settings or other
    /// tags: the first call holds the lock, with any parameters. So of all AMIs of one origin, EC2 itself copies one.
    Origin(Identity),
    /// For a request: the request as it was sent, and the try. Not settings: of the same request, delivered to functions with other
    /// settings, the first call holds the lock.
    Request(Box<CopyRequest>),
    /// The request's own token.
    Own(ClientToken),
    /// A dry run copies nothing, so it must not use a token that a copy needs. A request's own token is passed on.
    DryRun(Option<ClientToken>),
}

/// Plans the copy of `image`, the AMI that `source` names, into `stack_region`. It rejects a name that EC2 would refuse, and more
/// explicit tags than a resource can have.
pub fn plan(
    source: &Identity,
    image: &Image,
    request: Option<&CopyRequest>,
    settings: &Copying,
    stack_region: &Region,
) -> Result<Plan, Error> {
    let requested = |which: fn(&CopyRequest) -> &Vec<Tag>| request.map(which).cloned().unwrap_or_default();
    let copies_tags = CopiesTags::of(request, image, settings);
    let own = own_tags(image);
    let mut left_out = BTreeSet::new();
    let mut tags = |requested: Vec<Tag>, carried: bool, takes: fn(&Tag) -> bool| {
        let must = [courier_tags(source, image, settings)?, requested, settings.extra_tags.clone()];
        let must = must.map(|tags| tags.into_iter().filter(takes).collect());
        let may: Vec<Tag> = own.iter().filter(|tag| carried && takes(tag)).cloned().collect();
        gathered(&must, &may, source, &mut left_out)
    };
    let dry_run = request.and_then(|request| request.dry_run).unwrap_or(settings.dry_run);
    let call = CopyImageCall {
        source: source.clone(),
        name: match request {
            Some(request) => request.name.clone(),
            None => name(source, image, settings)?,
        },
        description: match request.and_then(|request| request.description.clone()) {
            Some(description) => Some(description),
            None => description_of(source, image, settings)?,
        },
        encryption: encryption(request, settings, stack_region)?,
        destination: request
            .and_then(|request| request.destination.clone())
            .unwrap_or(Destination::Region { completion: settings.completion }),
        copy_image_tags: copies_tags.by_ec2,
        image_tags: tags(requested(|request| &request.image_tags), copies_tags.to_image, |_| true)?,
        snapshot_tags: tags(requested(|request| &request.snapshot_tags), copies_tags.to_snapshots, |tag| {
            !is_shared_tag(tag)
        })?,
        client_token: None,
        dry_run,
    };
    let own_token = request.and_then(|request| request.client_token.clone());
    let token = match (dry_run, own_token, request) {
        (true, own_token, _) => TokenRule::DryRun(own_token),
        (false, Some(token), _) => TokenRule::Own(token),
        (false, None, Some(request)) => TokenRule::Request(Box::new(request.clone())),
        (false, None, None) => {
            TokenRule::Origin(Origin::handed_on(image).map_or_else(|| source.clone(), |origin| origin.ami))
        }
    };
    let in_zone = !matches!(call.destination, Destination::Region { .. });
    let terms = Terms { unselected: false, in_zone };
    Ok(Plan { call, token, terms, left_out: left_out.into_iter().collect() })
}

impl Plan {
    /// The copy of a request past the selection.
    pub fn unselected(mut self) -> Self {
        self.terms.unselected = true;
        self
    }

    /// The copy of a sibling: it records the origin of the build, so that a look for the origin's copies finds it.
    pub fn of_family(mut self, origin: &Origin) -> Self {
        add_tag(&mut self.call, tag::FAMILY, &origin.to_string());
        self
    }

    /// The client token that the request brings.
    pub fn own_token(&self) -> Option<&ClientToken> {
        match &self.token {
            TokenRule::Own(token) => Some(token),
            _ => None,
        }
    }

    /// The call of one try. In practice there is no error: text and numbers can always be written as JSON.
    pub fn call_of(&self, at: Try, stack_region: &Region) -> Result<CopyImageCall, Error> {
        let source = &self.call.source;
        let client_token = match &self.token {
            TokenRule::Origin(origin) => Some(token(source, &(origin, stack_region, at.epoch, at.number))?),
            TokenRule::Request(request) => {
                Some(token(source, &(stack_region, request.substance(), at.epoch, at.number))?)
            }
            TokenRule::Own(token) => Some(token.clone()),
            TokenRule::DryRun(token) => token.clone(),
        };
        let mut call = CopyImageCall { client_token, ..self.call.clone() };
        if let Some(mark) = self.made_for(at).tag() {
            add_tag(&mut call, tag::TRY, &mark);
        }
        Ok(call)
    }

    fn made_for(&self, at: Try) -> MadeFor {
        match self.token {
            TokenRule::Origin(_) => MadeFor::Announcement(at),
            TokenRule::Request(_) | TokenRule::Own(_) => MadeFor::Request(at, self.terms),
            // A dry run makes no copy, so there is no try to record.
            TokenRule::DryRun(_) => MadeFor::Announcement(Try::FIRST),
        }
    }
}

/// Places are kept for these tags, and they are sorted in: the same tags are always the same list.
fn add_tag(call: &mut CopyImageCall, key: &str, value: &str) {
    for tags in [&mut call.image_tags, &mut call.snapshot_tags] {
        tags.push(Tag { key: key.to_owned(), value: value.to_owned() });
        tags.sort();
    }
}

/// The namespace of the courier's tokens: a random UUID, made once.
const NAMESPACE: Uuid = Uuid::from_u128(0x6c1f_5f0e_4b1d_4f6a_9a53_0c7d_2e8b_71a4);

/// A `UUIDv5` of these parts in canonical form: fields in the order of their declaration, tags sorted.
fn token(source: &Identity, parts: &impl serde::Serialize) -> Result<ClientToken, Error> {
    let canonical = serde_json::to_string(parts)
        .map_err(|why| Error::rejected(code::BUG, format!("no token for {source}: {why}"), "report this as a bug"))?;
    Ok(ClientToken::from_uuid(Uuid::new_v5(&NAMESPACE, canonical.as_bytes())))
}

/// How the source's own tags reach the copy.
struct CopiesTags {
    /// The value of `CopyImageTags`. EC2 copies tags to the image only, not to its snapshots.
    by_ec2: Option<bool>,
    /// As explicit tags of the call.
    to_image: bool,
    to_snapshots: bool,
}

impl CopiesTags {
    fn of(request: Option<&CopyRequest>, image: &Image, settings: &Copying) -> Self {
        let by_ec2 = request.and_then(|request| request.copy_image_tags);
        // EC2 would copy the courier's own tags too: the copy would look finished at once.
        let is_couriers_copy = image.tags.keys().any(|key| key.starts_with(tag::PREFIX));
        match by_ec2 {
            Some(true) if is_couriers_copy => Self { by_ec2: None, to_image: true, to_snapshots: false },
            Some(by_ec2) => Self { by_ec2: Some(by_ec2), to_image: false, to_snapshots: false },
            None => Self { by_ec2: None, to_image: settings.copy_tags, to_snapshots: settings.copy_tags },
        }
    }
}

fn name(source: &Identity, image: &Image, settings: &Copying) -> Result<AmiName, Error> {
    let filled = settings.name.fill(image, &source.region).map_err(|missing| {
        // Builders such as Packer tag the AMI after EC2's event.
        let advice = "tag the source AMI or change COPY_NAME, then send the message again";
        let message = format!("COPY_NAME cannot be filled for {source}: {missing}");
        Error {
            remedy: Remedy::AdviceIfItStays(advice.to_owned()),
            ..Error::rejected(code::NAME_MALFORMED, message, "")
        }
    })?;
    filled.parse().map_err(|why| {
        Error::rejected(
            code::NAME_MALFORMED,
            format!("COPY_NAME makes a name for the copy of {source} that EC2 does not accept: {why}"),
            "change COPY_NAME (or the tag that it uses), then send the message again",
        )
    })
}

/// The description of the copy of `image`, the AMI that `source` names.
pub(crate) fn description_of(
    source: &Identity,
    image: &Image,
    settings: &Copying,
) -> Result<Option<Description>, Error> {
    let text = match &settings.description {
        Some(template) => template.fill(image, &source.region).map_err(|missing| {
            Error::rejected(
                code::INVALID_VALUE,
                format!("COPY_DESCRIPTION cannot be filled for {source}: {missing}"),
                "tag the source AMI or change COPY_DESCRIPTION, then send the message again",
            )
        })?,
        None => match &image.description {
            Some(own) if !own.is_empty() => own.clone(),
            _ => format!("Copied from {source}"),
        },
    };
    // A copy with a shortened description is better than no copy.
    let cut: String = text.chars().take(255).collect();
    Ok(cut.parse().ok().filter(|_| !cut.is_empty()))
}

fn encryption(request: Option<&CopyRequest>, settings: &Copying, stack_region: &Region) -> Result<Encryption, Error> {
    let encryption = request.and_then(|request| request.encryption.as_ref()).unwrap_or(&settings.encryption);
    let elsewhere = encryption.key().and_then(|key| Some((key, key.region_if_not(stack_region)?)));
    match elsewhere {
        // EC2 would accept the call, and the copy would fail later.
        Some((key, other)) => Err(Error::rejected(
            code::INVALID_VALUE,
            format!("`KmsKeyId` is `{key}`: this key is in {other}, and the copy is made in {stack_region}"),
            format!("use a key of {stack_region} and send the request again"),
        )),
        None => Ok(encryption.clone()),
    }
}

fn courier_tags(source: &Identity, image: &Image, settings: &Copying) -> Result<Vec<Tag>, Error> {
    let owner = image.owner.as_ref().map(|owner| (tag::SOURCE_OWNER, owner.to_string()));
    let origin = if settings.is_shared { Origin::of(image, source) } else { Origin::handed_on(image) };
    let origin = origin.map(|origin| (tag::ORIGIN, origin.to_string()));
    let created = image.created.map(|created| (tag::SOURCE_CREATED, tag::time(created)));
    [
        (tag::SOURCE_IMAGE, source.image.to_string()),
        (tag::SOURCE_REGION, source.region.to_string()),
        (tag::STACK, settings.stack_name.clone()),
    ]
    .into_iter()
    .chain(owner)
    .chain(created)
    .chain(origin)
    .map(|(key, value)| {
        Tag::new(key, value)
            .map_err(|why| Error::rejected(code::INVALID_VALUE, why.to_string(), "report this as a bug"))
    })
    .collect()
}

/// Only images have shared tags: EC2 refuses them on a snapshot.
pub(crate) fn is_shared_tag(tag: &Tag) -> bool {
    tag.key.starts_with(tag::SHARED)
}

/// The source's tags without those of AWS and of the courier. Shared ones first: if there is no room for all, these are carried.
pub(crate) fn own_tags(image: &Image) -> Vec<Tag> {
    let carried = image.tags.iter().filter(|(key, _)| !is_couriers(key));
    let carried = carried.filter_map(|(key, value)| Tag::new(key, value).ok());
    let (shared, others): (Vec<Tag>, Vec<Tag>) = carried.partition(is_shared_tag);
    [shared, others].concat()
}

/// The tags of `must` in order of precedence, then as many of `may` as fit; each key once. The result is sorted, so the same
/// tags are always the same list: it is not documented whether the order matters to EC2 when it compares calls.
fn gathered(
    must: &[Vec<Tag>],
    may: &[Tag],
    source: &Identity,
    left_out: &mut BTreeSet<String>,
) -> Result<Vec<Tag>, Error> {
    let is_users = |tag: &Tag| !tag.key.starts_with(tag::PREFIX);
    let mut tags: Vec<Tag> = Vec::new();
    for tag in must.iter().flatten() {
        if tags.iter().all(|other| other.key != tag.key) {
            tags.push(tag.clone());
        }
    }
    let mut of_users = tags.iter().filter(|tag| is_users(tag)).count();
    if of_users > Tag::MOST_OF_USERS {
        return Err(Error::rejected(
            code::TOO_MANY_TAGS,
            format!(
                "the copy of {source} would have {of_users} tags from the request and EXTRA_TAGS; beside the courier's own tags there \
                 is room for {}",
                Tag::MOST_OF_USERS
            ),
            "remove tags from the request or from EXTRA_TAGS, then send the message again",
        ));
    }
    for tag in may {
        if tags.iter().any(|other| other.key == tag.key) {
            continue;
        }
        if of_users < Tag::MOST_OF_USERS {
            of_users += 1;
            tags.push(tag.clone());
        } else {
            left_out.insert(tag.key.clone());
        }
    }
    tags.sort();
    Ok(tags)
}
