//! The command line.

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::assumption::{ASSUMPTIONS, Assumption, Needs};
use crate::aws::{Aws, CallError, RealTime, Stop, signing_on_for};
use crate::clean::{Leftovers, clean};
use crate::lab::{Lab, Made, Plan};
use crate::run::{Verdict, ask, clean_up};
use crate::{policy, preview, report};

/// Ask AWS whether it does what ami-courier assumes: in your own sandbox account, for cents.
///
/// It makes a tiny AMI and copies of it, and a rule and a queue for EC2's events. It looks at what EC2 does, and removes everything
/// again. It prints the account, the Region,
/// what it makes and the cost; it goes on only with --yes. Exit code: 0 every answer is as expected, 1 an answer is different,
/// 2 something failed or was left behind.
#[derive(Debug, Parser)]
#[command(
    name = "probe",
    bin_name = "cargo run -p local -- probe",
    version,
    after_help = "\
Examples:
  cargo run -p local -- probe --dry-run                                      # the calls and the cost; makes no call
  cargo run -p local -- probe --policy --region eu-west-1                    # the IAM policy that you need
  cargo run -p local -- probe --profile sandbox --region eu-west-1           # who you are, and what it would make
  cargo run -p local -- probe --profile sandbox --region eu-west-1 --yes     # ask
  cargo run -p local -- probe --profile sandbox --region eu-west-1 --clean   # remove what a killed run left behind

Credentials are those of every AWS SDK: environment variables, profiles (also with single sign-on or a credential process), web
identity, containers, instances. Before single sign-on, run: aws sso login --profile sandbox"
)]
#[allow(clippy::doc_markdown, reason = "these lines are printed by --help as they are")]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
struct Arguments {
    /// Go on after the summary.
    #[arg(long)]
    yes: bool,

    /// Print the calls and the cost, and make no call.
    #[arg(long, conflicts_with_all = ["yes", "clean"])]
    dry_run: bool,

    /// Print the assumptions as a Markdown table, and make no call.
    #[arg(long, conflicts_with_all = ["yes", "clean", "dry_run"])]
    assumptions: bool,

    /// Remove what killed runs left behind, in --region and --source-region. It looks for 15 minutes, because a new AMI can be
    /// invisible for so long.
    #[arg(long, conflicts_with = "yes")]
    clean: bool,

    /// Also ask what takes a day; the command runs for so long.
    #[arg(long)]
    long: bool,

    /// Also ask under a role with the policy of the template. It makes the role, two queues and a parameter, and removes them.
    #[arg(long)]
    permissions: bool,

    /// Print the IAM policy that you need, and make no call.
    #[arg(long, conflicts_with_all = ["yes", "clean", "dry_run", "assumptions"])]
    policy: bool,

    /// Ask only this question, by its name in --assumptions; can be repeated.
    #[arg(long, value_name = "NAME", value_parser = assumption)]
    only: Vec<Assumption>,

    /// Region to make copies in; as in your configuration, if not given.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,

    /// Region of the source AMI; the same Region, if not given.
    #[arg(long, value_name = "REGION")]
    source_region: Option<String>,

    /// Profile of your AWS configuration.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,

    /// How many copies the time until a copy is visible is taken from. EC2 allows 20 copies under way.
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u16).range(2..=100))]
    copies: u16,

    /// Write the answers to this file, to attach to an issue "What AWS does".
    #[arg(long, value_name = "FILE", default_value = "probe.json")]
    report: PathBuf,

    /// Ask this server (`local serve`, moto) instead of AWS.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,

    /// How many seconds pass there for each real second: `local serve --rate`.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = rate, requires = "endpoint_url")]
    rate: f64,
}

fn assumption(name: &str) -> Result<Assumption, String> {
    let found = ASSUMPTIONS.iter().find(|assumption| assumption.name == name);
    found.copied().ok_or_else(|| "no such question; --assumptions lists them".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("expected a positive number".to_owned()),
    }
}

const DIFFERENT: u8 = 1;
const FAILED: u8 = 2;

/// Parses the process's arguments and runs the command.
pub async fn main() -> ExitCode {
    match Box::pin(run(Arguments::parse())).await {
        Ok(code) => code,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::from(FAILED)
        }
    }
}

/// Prints a line to stdout. A reader that has gone (`| head`) is no error.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

async fn run(arguments: Arguments) -> Result<ExitCode, String> {
    if arguments.assumptions {
        say(crate::assumption::markdown().trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.policy {
        let region = arguments.region.clone().ok_or("--policy needs --region")?;
        say(format_args!("{:#}", policy::of_caller(&arguments.plan(region))));
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.dry_run {
        let region = arguments.region.clone().unwrap_or_else(|| "your Region".to_owned());
        let plan = arguments.plan(region);
        say(preview::summary(&plan, arguments.permissions, arguments.long));
        say(format_args!("The calls:\n{}\n", preview::calls(&plan, arguments.permissions, arguments.long)));
        say("This was a dry run: no call was made.");
        return Ok(ExitCode::SUCCESS);
    }
    let stop = Stop::default();
    let clock = Arc::new(RealTime { since: Instant::now(), rate: arguments.rate });
    let (region, url) = (arguments.region.clone(), arguments.endpoint_url.clone());
    let aws = Aws::open(arguments.profile.as_deref(), region, url, clock, stop.clone()).await?;
    let (account, arn) = match aws.caller().await {
        Ok(caller) => caller,
        Err(CallError::NoCredentials(reason)) => return Err(advice(arguments.profile.as_deref(), &reason).await),
        Err(error) => return Err(format!("cannot ask AWS who you are: {error}")),
    };
    let plan = arguments.plan(aws.region().to_owned());
    say(format_args!("Account {account}, Region {}, as {arn}", plan.region));
    if let Some(url) = aws.endpoint_url() {
        say(format_args!("This is not AWS: every call goes to {url}."));
    }
    if arguments.clean {
        return Ok(remove_leftovers(&aws, &plan).await);
    }
    say(preview::summary(&plan, arguments.permissions, arguments.long));
    if !arguments.yes {
        say("Nothing was made. Add --yes to go on.");
        return Ok(ExitCode::SUCCESS);
    }
    stop_at_signals(&stop);
    let lab = Lab::new(aws, plan);
    let assumptions = arguments.questions();
    let mut number = 0;
    let answers = ask(&lab, &assumptions, |answered| {
        number += 1;
        eprintln!(
            "{number:>2}/{} {}: {}",
            assumptions.len(),
            answered.assumption.question,
            answered.verdict().as_str()
        );
    })
    .await;
    eprintln!("Removing everything that this run made ...");
    let cleaned = clean_up(&lab).await;
    say(report::table(&answers));
    say(&cleaned);
    let json = report::json(&answers, &lab.plan, &today());
    std::fs::write(&arguments.report, format!("{json:#}\n"))
        .map_err(|error| format!("cannot write {}: {error}", arguments.report.display()))?;
    say(format_args!(
        "The answers are in {}. It has no account id and no name of yours in it.",
        arguments.report.display()
    ));
    let has = |verdict| answers.iter().any(|answered| answered.verdict() == verdict);
    Ok(if has(Verdict::Unanswered) || !cleaned.left.is_empty() {
        ExitCode::from(FAILED)
    } else if has(Verdict::Different) {
        ExitCode::from(DIFFERENT)
    } else {
        ExitCode::SUCCESS
    })
}

/// What the user can do when there are no credentials.
async fn advice(profile: Option<&str>, reason: &str) -> String {
    match signing_on_for(profile).await {
        Some(profile) => format!(
            "no credentials: sign on again with `aws sso login --profile {profile}`. The single sign-on of this profile failed: {reason}"
        ),
        None => format!("no credentials: add --profile, or set AWS_PROFILE ({reason})"),
    }
}

async fn remove_leftovers(aws: &Aws, plan: &Plan) -> ExitCode {
    say("Looking for 15 minutes for what a killed run left behind. Ctrl-C ends it; then run it again later.");
    let leftovers = Leftovers {
        regions: [plan.region.clone(), plan.source_region.clone()].into(),
        run: None,
        made: Made::unknown(),
    };
    let cleaned = clean(aws, &leftovers).await;
    say(&cleaned);
    if cleaned.left.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

impl Arguments {
    fn plan(&self, region: String) -> Plan {
        Plan {
            source_region: self.source_region.clone().unwrap_or_else(|| region.clone()),
            region,
            copies: usize::from(self.copies),
            run: format!("{:012x}", fastrand::u64(..) >> 16),
            verbose: true,
        }
    }

    fn questions(&self) -> Vec<Assumption> {
        if !self.only.is_empty() {
            return self.only.clone();
        }
        let is_asked = |assumption: &&Assumption| match assumption.needs {
            Needs::Nothing => true,
            Needs::ARole => self.permissions,
            Needs::ADay => self.long,
        };
        ASSUMPTIONS.iter().filter(is_asked).copied().collect()
    }
}

fn today() -> String {
    OffsetDateTime::now_utc().format(format_description!("[year]-[month]-[day]")).unwrap_or_default()
}

/// The first Ctrl-C, or SIGTERM, stops the run before its next call, and everything is removed. The second ends the process.
fn stop_at_signals(stop: &Stop) {
    let stop = stop.clone();
    tokio::spawn(async move {
        signal().await;
        eprintln!(
            "Stopping. Everything is removed first; this can take minutes. Ctrl-C again ends at once: then run `probe --clean`."
        );
        stop.stop();
        signal().await;
        eprintln!("Ended. Run `probe --clean` to remove what this run made.");
        std::process::exit(130);
    });
}

async fn signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    // Without a handler, the default action of the signal ends the process.
    let _ = tokio::signal::ctrl_c().await;
}
