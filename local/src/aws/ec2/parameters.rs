//! The flat parameters of EC2's Query protocol: `ImageId.1`, `Filter.1.Value.2`.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::aws::error::ApiError;
use crate::aws::timestamp::parse_time;

/// How many resources a call describes or tags by id.
/// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-pagination.html>,
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html>
pub(super) const IDS_IN_A_CALL: usize = 1000;

/// The parameters, or those below a prefix.
pub(super) struct Parameters<'a> {
    all: Option<&'a Map<String, Value>>,
    prefix: String,
}

impl<'a> Parameters<'a> {
    /// The parameters of a JSON object that maps names to strings.
    pub(super) fn new(parameters: &'a Value) -> Self {
        Parameters { all: parameters.as_object(), prefix: String::new() }
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.all?.get(&format!("{}{name}", self.prefix))?.as_str()
    }

    pub(super) fn required(&self, name: &str) -> Result<&'a str, ApiError> {
        self.text(name).filter(|text| !text.is_empty()).ok_or_else(|| {
            ApiError::client(
                "MissingParameter",
                format!("The request must contain the parameter {}{name}", self.prefix),
            )
        })
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(self.invalid(name, other, "It must be true or false")),
        }
    }

    /// With `DryRun=true`, a call that could be carried out ends here.
    ///
    /// # Errors
    /// `DryRunOperation`
    pub(super) fn stop_if_dry_run(&self) -> Result<(), ApiError> {
        if self.flag("DryRun")? == Some(true) {
            return Err(ApiError::new(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."));
        }
        Ok(())
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.text(name)
            .map(|text| text.parse().map_err(|_| self.invalid(name, text, "It must be an integer")))
            .transpose()
    }

    pub(super) fn required_time(&self, name: &str) -> Result<OffsetDateTime, ApiError> {
        let text = self.required(name)?;
        parse_time(text).ok_or_else(|| self.invalid(name, text, "It must be an ISO 8601 time"))
    }

    /// `NAME.1`, `NAME.2`, ... in order.
    pub(super) fn list(&self, name: &str) -> Vec<&'a str> {
        self.indices(name).into_iter().filter_map(|index| self.text(&format!("{name}.{index}"))).collect()
    }

    /// The ids in `NAME.1`, `NAME.2`, ... in order: so many at most.
    ///
    /// # Errors
    /// `InvalidParameterValue` (assumed: the limits are documented, the code is not)
    pub(super) fn ids(&self, name: &str, most: usize) -> Result<Vec<&'a str>, ApiError> {
        let ids = self.list(name);
        if ids.len() > most {
            let message =
                format!("{} values for parameter {}{name}. Expecting at most {most}.", ids.len(), self.prefix);
            return Err(ApiError::invalid_value(message));
        }
        Ok(ids)
    }

    /// The parameters below `NAME.1.`, `NAME.2.`, ... in order.
    pub(super) fn structures(&self, name: &str) -> Vec<Parameters<'a>> {
        self.indices(name).into_iter().map(|index| self.below(&format!("{name}.{index}"))).collect()
    }

    /// The parameters below `NAME.`.
    pub(super) fn below(&self, name: &str) -> Parameters<'a> {
        Parameters { all: self.all, prefix: format!("{}{name}.", self.prefix) }
    }

    /// Whether at most one of these is there, as a parameter or as a structure.
    pub(super) fn names_one_of(&self, names: &[&str]) -> bool {
        let is_named = |name: &&&str| {
            let whole = format!("{}{name}", self.prefix);
            let structure = format!("{whole}.");
            self.all.into_iter().flatten().any(|(key, _)| *key == whole || key.starts_with(&structure))
        };
        names.iter().filter(is_named).count() <= 1
    }

    /// All of them by name, without these.
    pub(super) fn without(&self, names: &[&str]) -> BTreeMap<String, String> {
        self.all
            .into_iter()
            .flatten()
            .filter(|(name, _)| !names.contains(&name.as_str()))
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect()
    }

    fn indices(&self, name: &str) -> BTreeSet<u32> {
        let prefix = format!("{}{name}.", self.prefix);
        self.all
            .into_iter()
            .flatten()
            .filter_map(|(key, _)| key.strip_prefix(&prefix)?.split('.').next()?.parse().ok())
            .collect()
    }

    fn invalid(&self, name: &str, value: &str, rule: &str) -> ApiError {
        ApiError::invalid_value(format!("Value ({value}) for parameter {}{name} is invalid. {rule}", self.prefix))
    }
}
