//! Client tokens: what a repeated call is answered.
//! <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>

use std::collections::BTreeMap;

use crate::aws::ec2::parameters::Parameters;
use crate::aws::error::ApiError;
use crate::aws::request::Caller;
use crate::aws::world::World;

/// The first answer to each token, by account, Region and token.
#[derive(Default)]
struct Tokens(BTreeMap<(String, String, String), FirstCall>);

/// The first call with a token. It outlives its AMI.
struct FirstCall {
    parameters: BTreeMap<String, String>,
    image_id: String,
}

fn key(caller: &Caller, token: &str) -> (String, String, String) {
    (caller.account.clone(), caller.region.clone(), token.to_owned())
}

/// What makes two calls the same call.
fn compared(parameters: &Parameters<'_>) -> BTreeMap<String, String> {
    parameters.without(&["ClientToken", "DryRun"])
}

impl World {
    pub(super) fn remember_token(&mut self, caller: &Caller, token: &str, parameters: &Parameters<'_>, image_id: &str) {
        let first = FirstCall { parameters: compared(parameters), image_id: image_id.to_owned() };
        self.state_mut::<Tokens>().0.insert(key(caller, token), first);
    }

    /// The AMI of the first call with this token; `None`: the token is new.
    ///
    /// # Errors
    /// `IdempotentParameterMismatch`, if the first call had other parameters.
    pub(super) fn image_of_token(
        &self,
        caller: &Caller,
        token: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Option<String>, ApiError> {
        let Some(first) = self.state::<Tokens>().and_then(|tokens| tokens.0.get(&key(caller, token))) else {
            return Ok(None);
        };
        if first.parameters != compared(parameters) {
            return Err(ApiError::client(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            ));
        }
        Ok(Some(first.image_id.clone()))
    }
}
