//! The arguments of `invoke`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::options::FunctionOptions;

/// Run the function on an event, with an AWS on loopback that has the AMIs which the event names.
///
/// Prints the answer, then the AMIs of the Regions involved. With --until, the simulated clock moves on, EC2's own events
/// reach the function through a queue, as in the stack, and each step is printed with its simulated time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo run -p local -- invoke events/ec2-ami-state-change.json
  cargo run -p local -- invoke events/ec2-ami-state-change.json --set ENCRYPTED=true --set EXTRA_TAGS=team=platform
  cargo run -p local -- invoke events/ec2-ami-state-change.json --until finished --set PARAMETER_NAME=/golden/ami
  cargo run -p local -- invoke events/ec2-ami-state-change.json --until failed
  cargo run -p local -- invoke events/ec2-ami-state-change.json --until finished --weak
  cargo run -p local -- invoke events/ec2-ami-state-change.json --until finished --picture life.svg
  cargo run -p local -- invoke events/ec2-ami-state-change.json --until finished --set 'PARAMETER_NAME=/golden/{tag:Channel}' --then-tag Channel=prod
  echo '{\"Sweep\":{}}' | cargo run -p local -- invoke - --set SOURCE_REGIONS=us-east-1

Exit code: 0 if the function answered and --until was reached, else 1. Failed messages of a batch are printed and do not
change the exit code.")]
pub(in crate::cli) struct Arguments {
    /// File with the event, or - for stdin. The function gets it unchanged, even if it is not JSON.
    #[arg(value_name = "EVENT.json")]
    pub(super) event: PathBuf,

    /// How far to follow the copy. With `failed`, the copy fails because of a KMS key that cannot be used.
    #[arg(long, value_enum, default_value_t = Goal::Answer)]
    pub(super) until: Goal,

    /// Once the copy is finished, tag its source AMI, and follow that too: a promotion, where the name of the parameter has the placeholder
    /// `{tag:KEY}`; can be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = tag)]
    pub(super) then_tag: Vec<(String, String)>,

    /// Use the weakest EC2 that its documentation permits: names are not unique, a new AMI is not visible for 15 minutes,
    /// a deregistered AMI is InvalidAMIID.NotFound immediately, and the client token of a dead AMI is an error.
    #[arg(long)]
    pub(super) weak: bool,

    /// Draw what --until prints, as an SVG or an HTML file.
    #[arg(long, value_name = "FILE")]
    pub(super) picture: Option<PathBuf>,

    #[command(flatten)]
    pub(super) function: FunctionOptions,
}

fn tag(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a tag has the form KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Goal {
    /// The function has answered.
    Answer,
    /// EC2 has reported that the copy is available.
    Available,
    /// The copy has the tag ami-courier:finished.
    Finished,
    /// EC2 has reported that the copy failed, and the function has handled it.
    Failed,
}

impl Goal {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Goal::Answer => "answered",
            Goal::Available => "available",
            Goal::Finished => "finished",
            Goal::Failed => "failed",
        }
    }
}
