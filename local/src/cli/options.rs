//! The options of every command that runs the function.

use std::path::PathBuf;

use std::time::Duration;

use clap::Args;
use courier_core::identity::Region;
use courier_core::region;
use courier_core::settings::VARIABLES;
use tokio::net::TcpStream;

use crate::aws::REGIONS;
use crate::host::{self, Function, InitError, InvokeError};

/// How the function runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "How the function runs")]
pub(super) struct FunctionOptions {
    /// Region that the function runs in: it makes copies here.
    #[arg(long, value_name = "REGION", default_value = "eu-west-1", value_parser = region_that_exists)]
    pub(super) region: String,

    /// A setting of the function, such as ENCRYPTED=true; can be repeated. docs/settings.md has all.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(super) settings: Vec<(String, String)>,

    /// Send the function's AWS calls to this server (`local serve`, moto) instead of the AWS of this command.
    #[arg(long, value_name = "URL")]
    pub(super) endpoint_url: Option<String>,

    /// Run this binary instead of building the function.
    #[arg(long, value_name = "PATH")]
    function: Option<PathBuf>,

    /// Print the function's log to stderr as well.
    #[arg(long)]
    pub(super) logs: bool,
}

impl FunctionOptions {
    /// The function with these settings; built first, unless a binary was named.
    pub(super) fn function(&self) -> Result<Function, String> {
        let binary = match &self.function {
            Some(path) if path.is_file() => path.clone(),
            Some(path) => {
                return Err(format!(
                    "there is no function at {}: leave out --function, and it is built",
                    path.display()
                ));
            }
            None => {
                if !host::is_built("ami-courier") {
                    eprintln!(
                        "Building the function: minutes the first time, most of them for the EC2 SDK; later, seconds."
                    );
                }
                host::build("ami-courier").map_err(|error| error.to_string())?
            }
        };
        let function = Function::new(binary, &self.region);
        Ok(self.settings.iter().fold(function, |function, (name, value)| function.set(name, value)))
    }

    /// The value of a setting; the last one wins.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

/// What the function takes beside its settings: Lambda's own, and the network's.
const OF_THE_ENVIRONMENT: [&str; 7] = [
    "ALL_PROXY",
    "AWS_CA_BUNDLE",
    "AWS_LAMBDA_LOG_FORMAT",
    "AWS_LAMBDA_LOG_LEVEL",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
];

/// A name that the function does not know would do nothing, silently.
fn name_and_value(text: &str) -> Result<(String, String), String> {
    let known = || VARIABLES.into_iter().chain(OF_THE_ENVIRONMENT);
    match text.split_once('=') {
        Some(("SOURCE_REGIONS", list)) if list != "any" => {
            let regions = list.split(',').map(str::trim).filter(|region| !region.is_empty());
            // It would refuse the calls that the function makes there.
            regions.map(region_that_exists).collect::<Result<Vec<_>, _>>()?;
            Ok(("SOURCE_REGIONS".to_owned(), list.to_owned()))
        }
        Some((name, value)) if known().any(|known| known == name) => Ok((name.to_owned(), value.to_owned())),
        Some((name, _)) if !name.is_empty() => {
            // The name of the parameter is that of the variable, in PascalCase.
            let folded = |name: &str| name.replace(['_', '-'], "").to_ascii_lowercase();
            let distance = |known: &&str| strsim::damerau_levenshtein(&folded(name), &folded(known));
            let nearest = known().min_by_key(distance).filter(|known| distance(known) <= known.len() / 3);
            let advice = nearest.map_or_else(
                || {
                    " of the function; a parameter of the stack alone, such as SenderAccounts, does nothing here"
                        .to_owned()
                },
                |nearest| format!(": did you mean {nearest}?"),
            );
            Err(format!("there is no setting {name}{advice} (docs/settings.md has all)"))
        }
        _ => Err("a setting is NAME=VALUE, such as ENCRYPTED=true".to_owned()),
    }
}

/// A whole number; of a wrong one, Rust says "invalid digit found in string".
pub(super) fn whole<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let number = text.parse::<u64>().map_err(|_| "expected a whole number that is not negative".to_owned())?;
    T::try_from(number).map_err(|_| "this number is too large".to_owned())
}

/// A Region that the AWS on loopback has.
pub(super) fn region_that_exists(name: &str) -> Result<String, String> {
    let parsed: Region = name.parse().map_err(|_| format!("`{name}` is no Region; one is eu-west-1"))?;
    region::check(&parsed).map_err(|error| error.message)?;
    if REGIONS.contains(&name) {
        return Ok(name.to_owned());
    }
    Err(format!("the AWS on loopback has no Region `{name}`: did you mean `{}`?", region::nearest(&parsed)))
}

/// Whether a server listens there: without one, the function would report a call that failed, after its retries.
pub(super) async fn reach(url: &str) -> Result<(), String> {
    const LONG_ENOUGH: Duration = Duration::from_secs(5);
    let (default_port, rest) = match url.split_once("://") {
        Some(("http", rest)) => (80, rest),
        Some(("https", rest)) => (443, rest),
        _ => return Err(format!("--endpoint-url is `{url}`; it must begin with http:// or https://")),
    };
    let host = rest.split('/').next().unwrap_or_default();
    let address = if host.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok()) {
        host.to_owned()
    } else {
        format!("{host}:{default_port}")
    };
    match tokio::time::timeout(LONG_ENOUGH, TcpStream::connect(&address)).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(format!(
            "nothing answers at {url}: start `cargo run -p local -- serve` in another terminal, or name another server with --endpoint-url"
        )),
    }
}

/// What to print for a function that did not answer: the error, and the log if it says more than the error.
pub(super) fn explain(error: &InvokeError, logs: &[String]) -> String {
    match error {
        InvokeError::Function { .. } | InvokeError::RecursiveLoop => error.to_string(),
        InvokeError::TimedOut(_) | InvokeError::Died(_) => with_logs(error, logs),
        InvokeError::Init(error) => why_not_started(error),
    }
}

/// An error, and the function's log below it.
pub(super) fn with_logs(error: &impl std::fmt::Display, logs: &[String]) -> String {
    if logs.is_empty() { error.to_string() } else { format!("{error}\nIts log:\n  {}", logs.join("\n  ")) }
}

/// Why the function did not start. A wrong setting is said once: its log has only the same sentence.
pub(super) fn why_not_started(error: &InitError) -> String {
    let (_, last) = error.message.rsplit_once("errorMessage: ").unwrap_or(("", &error.message));
    match error.logs.iter().find_map(|line| line.split_once("the function does not start error=")) {
        Some((_, wrong)) => format!("the function does not start: {wrong}"),
        None if error.logs.iter().any(|line| line.contains(last)) => format!("{error}"),
        None => with_logs(error, &error.logs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_split_at_its_first_equals_sign() {
        let split = name_and_value("REQUIRED_TAGS=approved=true");
        assert_eq!(split, Ok(("REQUIRED_TAGS".to_owned(), "approved=true".to_owned())));
        assert!(name_and_value("ENCRYPTED").is_err());
        assert!(name_and_value("=true").is_err());
    }

    #[test]
    fn an_unknown_setting_is_refused_with_the_nearest_name() {
        for (given, nearest) in [
            ("ENCRYPTD=true", "ENCRYPTED"),
            ("SourceRegions=us-east-1", "SOURCE_REGIONS"),
            ("source-regions=us-east-1", "SOURCE_REGIONS"),
            ("DRYRUN=true", "DRY_RUN"),
            ("LOG_LEVEL=DEBUG", "AWS_LAMBDA_LOG_LEVEL"),
        ] {
            let refused = name_and_value(given).expect_err(given);
            assert!(given.starts_with("LOG") || refused.contains(&format!("did you mean {nearest}?")), "{refused}");
        }
        assert!(!name_and_value("WEATHER_FORECAST_FOR=fine").expect_err("unknown").contains("did you mean"));
        assert!(name_and_value("AWS_LAMBDA_LOG_LEVEL=DEBUG").is_ok());
    }

    #[test]
    fn a_region_that_does_not_exist_is_refused_with_the_nearest_one() {
        assert_eq!(region_that_exists("eu-west-1"), Ok("eu-west-1".to_owned()));
        assert!(region_that_exists("eu-wset-1").expect_err("none").contains("did you mean `eu-west-1`?"));
        assert!(region_that_exists("Ireland").expect_err("none").contains("one is eu-west-1"));
        // It may be new, but this AWS has none of that name.
        assert!(region_that_exists("us-east-9").expect_err("none").contains("did you mean `us-east-1`?"));
        for wrong in ["SOURCE_REGIONS=us-esat-1", "SOURCE_REGIONS=us-east-1, us-east-9"] {
            assert!(name_and_value(wrong).expect_err(wrong).contains("did you mean `us-east-1`?"));
        }
        for right in ["SOURCE_REGIONS=any", "SOURCE_REGIONS=us-east-1,us-west-2", "SOURCE_REGIONS="] {
            assert!(name_and_value(right).is_ok(), "{right}");
        }
    }
}
