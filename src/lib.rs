//! **ami-courier** copies every announced AMI into its Region, exactly once, and finishes it, or says plainly why not.
//!
//! One stack stands in each destination Region. The data goes one way:
//!
//! ```text
//! payload ─► delivery ─► announcement ─► courier ─────────────────────► outcome ─► delivery ─► response
//!            how Lambda   what one        source ► selection ► plan ► copy          batch failures,
//!            handed it    message says    (describe) (pure)   (pure)  (EC2)         or a value, or an error
//! ```
//!
//! - [`delivery`]: how Lambda hands work over and takes answers; dead letters and back-off.
//! - [`announcement`]: what one message says, whoever sent it and however it is wrapped. Pure.
//! - [`courier`]: the steps: copy, finish, post-mortem, retire, and the sweep that calls them for what events missed.
//! - [`selection`]: is this AMI wanted here, and if not, why. Pure.
//! - [`plan`]: the exact `CopyImage` call, and the token that makes a repetition the same call. Pure.
//! - [`outcome`]: what became of an announcement, and the two kinds of error.
//! - [`aws`]: the only folder that knows the AWS SDK.
//!
//! Beneath them lie the words they share: [`identity`] (which AMI, where), [`image`] (an AMI as EC2 describes it),
//! [`copy_image`] (the checked parameters of `CopyImage`), [`naming`] (name templates), [`settings`] (every environment
//! variable) and [`telemetry`] (log lines and metrics).
//!
//! There is no database: what must be remembered is in EC2 itself, in client tokens, in the copies' tags, and in the
//! source that EC2 keeps on every copy. Nothing waits: EC2's own events bring the second half, and the sweep comes for
//! whatever no event told of.

pub mod announcement;
pub mod aws;
pub mod copy_image;
pub mod courier;
pub mod delivery;
pub mod identity;
pub mod image;
pub mod naming;
pub mod outcome;
pub mod plan;
pub mod selection;
pub mod settings;
pub mod telemetry;
