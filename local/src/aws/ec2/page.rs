//! Pages of results: `MaxResults` and `NextToken`.

use super::parameters::Parameters;
use crate::aws::error::ApiError;

/// The slice of the results that a request asks for, and the token of the next one.
///
/// Results must come in the order of their `id`, so that pages stay right while things change between them.
///
/// # Errors
/// `InvalidParameterValue`, for an unknown token or a `MaxResults` out of bounds.
pub(super) fn page<T>(
    mut results: Vec<T>,
    id: impl Fn(&T) -> &str,
    parameters: &Parameters<'_>,
    page_size: usize,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let wanted = match parameters.integer("MaxResults")? {
        None => page_size,
        Some(wanted) => usize::try_from(wanted)
            .ok()
            .filter(|wanted| (1..=1000).contains(wanted))
            .ok_or_else(|| {
                ApiError::invalid_value(format!(
                    "Value ( {wanted} ) for parameter maxResults is invalid. Expecting a value from 1 to 1000."
                ))
            })?
            .min(page_size),
    };
    if let Some(token) = parameters.text("NextToken") {
        let after = token
            .strip_prefix("after:")
            .ok_or_else(|| ApiError::invalid_value("The value of the parameter NextToken is not valid"))?;
        results.retain(|result| id(result) > after);
    }
    let more = results.len() > wanted;
    results.truncate(wanted);
    let next = results.last().filter(|_| more).map(|last| format!("after:{}", id(last)));
    Ok((results, next))
}
