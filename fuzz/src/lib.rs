//! What the fuzz targets share.

use courier_core::error::Rejection;
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
pub fn check(rejection: &Rejection) {
    let Rejection { code, message, advice, .. } = rejection;
    assert!(!code.is_empty() && !message.is_empty() && !advice.is_empty(), "{rejection}");
    assert!(rejection.to_string().len() < 4000, "{rejection}");
}
