//! **ami-courier** copies every announced AMI into its Region, exactly once, and finishes it, or reports plainly why not.
//!
//! One stack stands in each destination Region. The data goes one way:
//!
//! ```text
//! payload ─► delivery ─► announcement ─► courier ──────────────────► report ─► delivery ─► response
//!            how Lambda   what one        the steps: copy, finish,     what      told, sent,   batch failures,
//!            handed it    message says    post-mortem, retire, sweep   came      cleaned up    a value, an error
//! ```
//!
//! - [`delivery`]: how Lambda hands work over and takes answers. It carries out what the steps return: events, messages, dead
//!   letters, back-off.
//! - [`courier`]: the steps. Each looks at EC2, acts on AMIs, and returns a report.
//! - [`aws`]: the only folder that knows the AWS SDK, with the table that sorts AWS's error codes.
//! - [`telemetry`]: log lines and metrics.
//! - [`courier_core`], a crate of its own in `core/`: everything pure. What a message says, what is wanted, the exact call, the
//!   protocol of exactly once, the outcomes, the settings.
//!
//! Dependencies point one way: `delivery -> courier -> {aws, core}`, and never back.
//!
//! There is no database: what must be remembered is in EC2 itself (client tokens, the copies' tags, the source that EC2
//! records for every copy) and in the courier's own queue. Nothing waits: EC2's own events start the second half, and the sweep
//! announces what no event did.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod aws;
pub mod courier;
pub mod delivery;
pub mod telemetry;
