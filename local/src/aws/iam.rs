//! IAM: roles with inline policies. They are kept, and judge nothing: here every call is allowed unless a fault refuses it.
//! <https://docs.aws.amazon.com/IAM/latest/APIReference/>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::error::ApiError;
use super::region::partition_of;
use super::request::{Answer, Caller};
use super::world::World;

/// The roles of every account, by account and name.
#[derive(Default)]
struct Roles(BTreeMap<(String, String), Role>);

struct Role {
    path: String,
    /// Inline policies, by name.
    policies: BTreeMap<String, String>,
}

pub(super) fn dispatch(world: &mut World, caller: &Caller, action: &str, parameters: &Value) -> Answer {
    let text = |name: &str| {
        let value = parameters[name].as_str().filter(|text| !text.is_empty());
        value.ok_or_else(|| ApiError::client("ValidationError", format!("{name} is missing")))
    };
    match action {
        "ListRoles" => Ok(list(world, caller, parameters["PathPrefix"].as_str().unwrap_or("/"))),
        "CreateRole" => create(world, caller, text("RoleName")?, parameters["Path"].as_str().unwrap_or("/")),
        "PutRolePolicy" => {
            let (policy, document) = (text("PolicyName")?, text("PolicyDocument")?);
            if serde_json::from_str::<Value>(document).is_err() {
                return Err(ApiError::client("MalformedPolicyDocument", "The policy is not JSON"));
            }
            let role = world.role_mut(caller, text("RoleName")?)?;
            role.policies.insert(policy.to_owned(), document.to_owned());
            Ok(json!({}))
        }
        "DeleteRolePolicy" => {
            let policy = text("PolicyName")?;
            let role = world.role_mut(caller, text("RoleName")?)?;
            role.policies.remove(policy).map(|_| json!({})).ok_or_else(|| no_entity("policy", policy))
        }
        "DeleteRole" => delete(world, caller, text("RoleName")?),
        _ => Err(ApiError::client("InvalidAction", format!("IAM has no action {action} here"))),
    }
}

fn no_entity(kind: &str, name: &str) -> ApiError {
    ApiError::new(404, "NoSuchEntity", format!("The {kind} with name {name} cannot be found."))
}

fn arn(caller: &Caller, path: &str, name: &str) -> String {
    format!("arn:{}:iam::{}:role{path}{name}", partition_of(&caller.region), caller.account)
}

fn create(world: &mut World, caller: &Caller, name: &str, path: &str) -> Answer {
    let key = (caller.account.clone(), name.to_owned());
    let roles = &mut world.state_mut::<Roles>().0;
    if roles.contains_key(&key) {
        return Err(ApiError::new(409, "EntityAlreadyExists", format!("Role with name {name} already exists.")));
    }
    roles.insert(key, Role { path: path.to_owned(), policies: BTreeMap::new() });
    Ok(json!({ "Role": { "RoleName": name, "Path": path, "Arn": arn(caller, path, name) } }))
}

fn list(world: &World, caller: &Caller, prefix: &str) -> Value {
    let roles = world.state::<Roles>().into_iter().flat_map(|roles| &roles.0);
    let roles: Vec<Value> = roles
        .filter(|((account, _), role)| *account == caller.account && role.path.starts_with(prefix))
        .map(|((_, name), role)| json!({ "RoleName": name, "Path": role.path, "Arn": arn(caller, &role.path, name) }))
        .collect();
    json!({ "Roles": roles, "IsTruncated": false })
}

fn delete(world: &mut World, caller: &Caller, name: &str) -> Answer {
    if !world.role_mut(caller, name)?.policies.is_empty() {
        return Err(ApiError::new(409, "DeleteConflict", "Cannot delete entity, must delete policies first."));
    }
    world.state_mut::<Roles>().0.remove(&(caller.account.clone(), name.to_owned()));
    Ok(json!({}))
}

impl World {
    fn role_mut(&mut self, caller: &Caller, name: &str) -> Result<&mut Role, ApiError> {
        let key = (caller.account.clone(), name.to_owned());
        self.state_mut::<Roles>().0.get_mut(&key).ok_or_else(|| no_entity("role", name))
    }

    /// The inline policies of every role, by the role's name.
    pub fn role_policies(&self) -> Vec<(String, Vec<String>)> {
        let roles = self.state::<Roles>().into_iter().flat_map(|roles| &roles.0);
        roles.map(|((_, name), role)| (name.clone(), role.policies.values().cloned().collect())).collect()
    }

    /// Whether a role exists.
    pub(super) fn has_role(&self, account: &str, role_arn: &str) -> bool {
        let name = role_arn.rsplit('/').next().unwrap_or_default();
        self.state::<Roles>().is_some_and(|roles| roles.0.contains_key(&(account.to_owned(), name.to_owned())))
    }
}
