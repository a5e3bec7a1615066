//! The pure modules of ami-courier that read what strangers send, compiled by themselves: with the whole package, each
//! instrumented build would take minutes for the AWS SDK, which has no part in reading.

#[path = "../../src/announcement/mod.rs"]
pub mod announcement;
#[path = "../../src/copy_image.rs"]
pub mod copy_image;
#[path = "../../src/identity.rs"]
pub mod identity;
#[path = "../../src/outcome.rs"]
pub mod outcome;

use identity::Here;
use outcome::Rejection;

/// The stack that the files in `events/` are meant for.
///
/// # Panics
/// Never: its Region is well-formed.
#[must_use]
pub fn here() -> Here {
    Here { region: "eu-west-1".parse().expect("a Region"), account: "123456789012".parse().ok() }
}

/// What every rejection has to be, so that a log line and a message attribute can bear it.
///
/// # Panics
/// When it is not: that is what is looked for.
pub fn check(rejection: &Rejection) {
    let Rejection { code, words, advice } = rejection;
    assert!(!code.is_empty() && !words.is_empty() && !advice.is_empty(), "{rejection}");
    assert!(rejection.to_string().len() < 4000, "{rejection}");
}
