//! Filters of Describe calls: all filters must match, of each any value; `*` and `?` are wildcards, `\` takes their
//! meaning away. <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::parameters::Parameters;
use crate::aws::error::ApiError;

/// One filter of a request.
pub(super) struct Filter<'a> {
    name: &'a str,
    patterns: Vec<Pattern<'a>>,
}

impl<'a> Filter<'a> {
    /// The filters of a request; `known` are the names that the action has, besides `tag:KEY` and `tag-key`.
    ///
    /// # Errors
    /// `InvalidParameterValue` for a filter that EC2 does not have, or one without values; `FilterLimitExceeded` for more than 50
    /// filters, or 200 values.
    pub(super) fn read(parameters: &Parameters<'a>, known: &[&str]) -> Result<Vec<Filter<'a>>, ApiError> {
        let filters = parameters.structures("Filter");
        let values: usize = filters.iter().map(|filter| filter.list("Value").len()).sum();
        if filters.len() > 50 || values > 200 {
            return Err(ApiError::client("FilterLimitExceeded", "The request has too many filters or filter values"));
        }
        filters
            .into_iter()
            .map(|filter| {
                let name = filter.required("Name")?;
                if !known.contains(&name) && name != "tag-key" && !name.starts_with("tag:") {
                    return Err(ApiError::invalid_value(format!("The filter '{name}' is invalid")));
                }
                let patterns: Vec<Pattern<'_>> = filter.list("Value").into_iter().map(Pattern::new).collect();
                if patterns.is_empty() {
                    return Err(ApiError::invalid_value(format!("The filter '{name}' has no value")));
                }
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
