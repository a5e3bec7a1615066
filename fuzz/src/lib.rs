//! What the fuzz targets share.

use courier_core::error::Error;
use courier_core::identity::Stack;

/// The stack that the files in `events/` are meant for.
///
/// # Panics
/// Never: its Region is well-formed.
#[must_use]
pub fn stack() -> Stack {
    Stack { region: "eu-west-1".parse().expect("a Region"), account: "123456789012".parse().ok() }
}

/// What holds for every rejection, so that it fits into a log line and a message attribute.
///
/// # Panics
/// When it does not hold: that is what the fuzzer looks for.
pub fn check(rejection: &Error) {
    let Error { code, message, .. } = rejection;
    let has_advice = rejection.advice().is_some_and(|advice| !advice.is_empty());
    assert!(!code.is_empty() && !message.is_empty() && has_advice, "{rejection}");
    assert!(rejection.to_string().len() < 4000, "{rejection}");
}
