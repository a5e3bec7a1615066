//! STS: who calls, and keys of a role. <https://docs.aws.amazon.com/STS/latest/APIReference/>

use serde_json::{Value, json};

use super::error::ApiError;
use super::region::partition_of;
use super::request::{Answer, Caller};
use super::timestamp::ec2_time;
use super::world::World;

/// The access key ids that STS gives to roles begin so.
const OF_A_ROLE: &str = "ASIA";

pub(super) fn dispatch(world: &mut World, caller: &Caller, action: &str, parameters: &Value) -> Answer {
    match action {
        "GetCallerIdentity" => Ok(json!({
            "UserId": "AIDACKCEVSQ6C2EXAMPLE",
            "Account": caller.account,
            "Arn": format!("arn:{}:iam::{}:user/local", partition_of(&caller.region), caller.account),
        })),
        "AssumeRole" => assume_role(world, caller, parameters["RoleArn"].as_str().unwrap_or_default()),
        _ => Err(ApiError::client("InvalidAction", format!("STS has no action {action} here"))),
    }
}

/// The keys are the account's own: [`account_of`](super::account_of) finds it in them.
fn assume_role(world: &World, caller: &Caller, role_arn: &str) -> Answer {
    if !world.has_role(&caller.account, role_arn) {
        let message = format!("User is not authorized to perform: sts:AssumeRole on resource: {role_arn}");
        return Err(ApiError::new(403, "AccessDenied", message));
    }
    Ok(json!({
        "Credentials": {
            "AccessKeyId": format!("{OF_A_ROLE}{}ROLE", caller.account),
            "SecretAccessKey": "secret",
            "SessionToken": "token",
            "Expiration": ec2_time(world.now() + std::time::Duration::from_secs(60 * 60)),
        },
        "AssumedRoleUser": { "AssumedRoleId": "AROACLKWSDQRAOEXAMPLE:probe", "Arn": role_arn },
    }))
}
