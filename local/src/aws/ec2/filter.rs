//! Filters of Describe calls: all filters must match, of each any value; `*` and `?` are wildcards, `\` takes their
//! meaning away. A request has 50 filters at most, each with 200 values of 255 characters.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::parameters::Parameters;
use crate::aws::error::ApiError;

const MOST_FILTERS: usize = 50;
/// The guide says: for a filter. The message of EC2's error, as users report it, says: for a call. So here, it is for a call.
const MOST_VALUES: usize = 200;
const LONGEST: usize = 255;

/// One filter of a request.
pub(super) struct Filter<'a> {
    name: &'a str,
    patterns: Vec<Pattern<'a>>,
}

impl<'a> Filter<'a> {
    /// The filters of a request; `known` are the names that the action has, besides `tag:KEY` and `tag-key`.
    ///
    /// # Errors
    /// `FilterLimitExceeded` for too many filters or values. `InvalidParameterValue` for a filter that EC2 does not have, one without
    /// values, or one that is too long (the code is assumed).
    pub(super) fn read(parameters: &Parameters<'a>, known: &[&str]) -> Result<Vec<Filter<'a>>, ApiError> {
        let filters = parameters.structures("Filter");
        for (counted, count, most) in [
            ("filters", filters.len(), MOST_FILTERS),
            ("filter values", filters.iter().map(|filter| filter.list("Value").len()).sum(), MOST_VALUES),
        ] {
            if count > most {
                let message = format!("The maximum number of {counted} specified on a single call is {most}");
                return Err(ApiError::client("FilterLimitExceeded", message));
            }
        }
        filters
            .into_iter()
            .map(|filter| {
                let name = filter.required("Name")?;
                if !known.contains(&name) && name != "tag-key" && !name.starts_with("tag:") {
                    return Err(ApiError::invalid_value(format!("The filter '{name}' is invalid")));
                }
                let values = filter.list("Value");
                if values.is_empty() {
                    return Err(ApiError::invalid_value(format!("The filter '{name}' has no value")));
                }
                if [name].iter().chain(&values).any(|text| text.chars().count() > LONGEST) {
                    let message = format!("The filter '{name}' has a string of more than {LONGEST} characters");
                    return Err(ApiError::invalid_value(message));
                }
                let patterns = values.into_iter().map(Pattern::new).collect();
                Ok(Filter { name, patterns })
            })
            .collect()
    }

    /// Whether a resource with these tags passes; `values_of` returns its values for a filter that is not about tags.
    pub(super) fn passes<'v>(
        &self,
        tags: impl FnOnce() -> Cow<'v, BTreeMap<String, String>>,
        values_of: impl FnOnce(&str) -> Vec<Cow<'v, str>>,
    ) -> bool {
        let any = |value: &str| self.patterns.iter().any(|pattern| pattern.matches(value));
        if let Some(key) = self.name.strip_prefix("tag:") {
            tags().get(key).is_some_and(|value| any(value))
        } else if self.name == "tag-key" {
            tags().keys().any(|key| any(key))
        } else {
            values_of(self.name).iter().any(|value| any(value))
        }
    }
}

/// A value to look for. Most have no wildcard: comparing is faster then.
enum Pattern<'a> {
    Plain(&'a str),
    Wildcards(&'a str),
}

impl<'a> Pattern<'a> {
    fn new(text: &'a str) -> Self {
        if text.contains(['*', '?', '\\']) { Pattern::Wildcards(text) } else { Pattern::Plain(text) }
    }

    fn matches(&self, value: &str) -> bool {
        match self {
            Pattern::Plain(text) => *text == value,
            Pattern::Wildcards(pattern) => matches(pattern, value),
        }
    }
}

/// Whether a value matches a pattern. A `*` first tries to take nothing, then one character after the other.
fn matches(pattern: &str, value: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => value.is_empty(),
        Some('*') => {
            let pattern = rest.as_str().trim_start_matches('*');
            value.char_indices().map(|(at, _)| at).chain([value.len()]).any(|at| matches(pattern, &value[at..]))
        }
        Some(wanted) => {
            let (wanted, literal) = match wanted {
                '\\' => (rest.next().unwrap_or('\\'), true),
                other => (other, false),
            };
            let mut remaining = value.chars();
            remaining.next().is_some_and(|found| (wanted == '?' && !literal) || found == wanted)
                && matches(rest.as_str(), remaining.as_str())
        }
    }
}
