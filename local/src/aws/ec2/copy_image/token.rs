//! Client tokens: the answer to a repeated call.
//! <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::aws::behaviour::{TokenOfDeadImage, TokensCompare};
use crate::aws::ec2::image::ImageState;
use crate::aws::ec2::parameters::Parameters;
use crate::aws::error::ApiError;
use crate::aws::request::Caller;
use crate::aws::world::World;

/// The first answer to each token, by account, Region and token.
#[derive(Default)]
struct Tokens(BTreeMap<(String, String, String), FirstCall>);

/// The first call with a token. It is remembered longer than its AMI exists.
struct FirstCall {
    at: OffsetDateTime,
    parameters: BTreeMap<String, String>,
    image_id: String,
}

fn key(caller: &Caller, token: &str) -> (String, String, String) {
    (caller.account.clone(), caller.region.clone(), token.to_owned())
}

/// Every parameter that can make two calls different, as it is on the wire, with tags and tag specifications in their order.
fn compared(parameters: &Parameters<'_>) -> BTreeMap<String, String> {
    parameters.without(&["ClientToken", "DryRun"])
}

/// Whether two calls are the same. Whether EC2 ignores the order of tags is unknown.
fn are_same(first: &BTreeMap<String, String>, second: &BTreeMap<String, String>, compare: TokensCompare) -> bool {
    match compare {
        TokensCompare::EveryParameter => first == second,
        TokensCompare::EveryParameterButTheOrderOfTags => unordered(first) == unordered(second),
        TokensCompare::Nothing => true,
    }
}

/// The parameters with each tag under its own name instead of a number: `TagSpecification.1.Tag.name`.
fn unordered(parameters: &BTreeMap<String, String>) -> BTreeMap<String, &str> {
    let key_of = |value: &str| parameters.get(&format!("{}.Key", value.trim_end_matches(".Value"))).cloned();
    parameters
        .iter()
        .filter(|(name, _)| !(name.contains(".Tag.") && name.ends_with(".Key")))
        .map(|(name, value)| match name.split_once(".Tag.").zip(key_of(name)) {
            Some(((specification, _), key)) => (format!("{specification}.Tag.{key}"), value.as_str()),
            None => (name.clone(), value.as_str()),
        })
        .collect()
}

impl World {
    pub(super) fn remember_token(&mut self, caller: &Caller, token: &str, parameters: &Parameters<'_>, image_id: &str) {
        let first = FirstCall { at: self.now(), parameters: compared(parameters), image_id: image_id.to_owned() };
        self.state_mut::<Tokens>().0.insert(key(caller, token), first);
    }

    /// The AMI of the first call with this token; `None`: the token is new, or forgotten.
    ///
    /// # Errors
    /// `IdempotentParameterMismatch`, if the first call had other parameters; `IdempotentInstanceTerminated`, as
    /// [`TokenOfDeadImage`] says.
    pub(super) fn image_of_token(
        &self,
        caller: &Caller,
        token: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Option<String>, ApiError> {
        let first = self.state::<Tokens>().and_then(|tokens| tokens.0.get(&key(caller, token)));
        let Some(first) = first.filter(|first| self.remembers(first)) else {
            return Ok(None);
        };
        if !are_same(&first.parameters, &compared(parameters), self.behaviour.tokens_compare) {
            return Err(ApiError::client(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            ));
        }
        if self.behaviour.token_of_dead_image == TokenOfDeadImage::Error && self.is_dead(caller, &first.image_id) {
            return Err(ApiError::client(
                "IdempotentInstanceTerminated",
                "The request uses the same client token as a previous request whose resource has been terminated.",
            ));
        }
        Ok(Some(first.image_id.clone()))
    }

    fn remembers(&self, first: &FirstCall) -> bool {
        self.behaviour.tokens_remembered_for.is_none_or(|duration| self.now() < first.at + duration)
    }

    fn is_dead(&self, caller: &Caller, image_id: &str) -> bool {
        self.image(&caller.region, image_id).is_none_or(|image| image.state == ImageState::Failed)
    }
}
