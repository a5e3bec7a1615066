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
use crate::copy_image::{AmiName, ClientToken, CopyImageCall, Description, Destination, Tag};
use crate::identity::{Identity, ImageId, Region};
use crate::image::{Image, tag};
use crate::outcome::Rejection;
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
    here: &Region,
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
        encryption: request
            .and_then(|request| request.encryption.clone())
            .unwrap_or_else(|| settings.encryption.clone()),
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
            None => first_token(&call, here)?,
        },
        left_out: left_out.into_iter().collect(),
        call,
    })
}

/// The namespace of the courier's tokens: a random UUID, made once.
const NAMESPACE: Uuid = Uuid::from_u128(0x6c1f_5f0e_4b1d_4f6a_9a53_0c7d_2e8b_71a4);

/// The token of the first try: a UUIDv5 of the Region and every parameter, in canonical form.
///
/// # Errors
/// None that can happen: text and numbers can always be written down.
pub fn first_token(call: &CopyImageCall, here: &Region) -> Result<ClientToken, Rejection> {
    // Fields in the order in which they are declared, whatever serde_json's features are in this build.
    let canonical = serde_json::to_string(&(here, in_canonical_order(call))).map_err(|why| {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::copy_image::{CompletionMinutes, Encryption};
    use crate::image::State;
    use crate::settings::Settings;

    fn source() -> Identity {
        Identity { region: "us-east-1".parse().unwrap(), image: "ami-0abcdef1234567890".parse().unwrap() }
    }

    fn here() -> Region {
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
        plan(&source(), &image(tags), None, &copying(settings), &here()).unwrap()
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
            first_token(&call, &here()).unwrap()
        };
        let tag = || Tag::new("a", "b").unwrap();
        let tokens = [
            first_token(&call, &here()).unwrap(),
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
                first_token(&call, &here()).unwrap()
            },
            {
                let mut call = call.clone();
                call.snapshot_tags.push(tag());
                first_token(&call, &here()).unwrap()
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
            let image = image(BTreeMap::new());
            plan(&source(), &image, None, &copying(&[("COPY_NAME", template)]), &here()).unwrap_err().to_string()
        };
        assert!(refused("a:b").contains("`a:b` is not an AMI name (3 to 128 of"));
        assert!(refused(&"{name}".repeat(20)).contains("3 to 128"));
        assert!(refused("x-{tag:Role}").contains("the source AMI has no tag `Role`"));
    }

    proptest! {
        #[test]
        fn the_order_of_tags_means_nothing_to_the_token(
            tags in proptest::collection::btree_map("[a-z]{1,8}", "[a-z]{0,8}", 0..20),
            seed in any::<u64>(),
        ) {
            let mut call = plan(&source(), &image(tags), None, &copying(&[]), &here()).unwrap().call;
            let token = first_token(&call, &here()).unwrap();
            let len = call.image_tags.len();
            call.image_tags.rotate_left(usize::try_from(seed % len as u64).unwrap());
            call.snapshot_tags.reverse();
            prop_assert_eq!(first_token(&call, &here()).unwrap(), token);
        }

        #[test]
        fn whatever_tags_a_source_has_the_plan_stays_within_ec2s_rules(
            tags in proptest::collection::btree_map("\\PC{1,140}", "\\PC{0,300}", 0..80),
        ) {
            let plan = plan(&source(), &image(tags), None, &copying(&[]), &here()).unwrap();
            prop_assert!(plan.call.image_tags.len() <= Tag::MOST);
            let keys: BTreeSet<&str> = plan.call.image_tags.iter().map(|tag| tag.key.as_str()).collect();
            prop_assert_eq!(keys.len(), plan.call.image_tags.len());
        }

        #[test]
        fn templates_are_refused_or_filled_and_never_panic(text in "\\PC{0,200}") {
            if let Some(template) = crate::naming::Template::parse(&text) {
                let _ = template.fill(&image(BTreeMap::new()), &here());
            }
        }
    }
}
