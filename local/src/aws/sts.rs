//! STS: who calls. <https://docs.aws.amazon.com/STS/latest/APIReference/>

use serde_json::json;

use super::error::ApiError;
use super::region::partition_of;
use super::request::{Answer, Caller};

pub(super) fn dispatch(caller: &Caller, action: &str) -> Answer {
    match action {
        "GetCallerIdentity" => Ok(json!({
            "UserId": "AIDACKCEVSQ6C2EXAMPLE",
            "Account": caller.account,
            "Arn": format!("arn:{}:iam::{}:user/local", partition_of(&caller.region), caller.account),
        })),
        _ => Err(ApiError::client("InvalidAction", format!("STS has no action {action} here"))),
    }
}
