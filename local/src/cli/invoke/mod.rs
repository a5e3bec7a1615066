//! The function on one event: its answer, and the AMIs after it. With `--until`, the whole life of a copy.
//!
//! `arguments` are the command's, `simulation` is the run, `queues` the stack's queues in it.

mod arguments;
mod queues;
mod simulation;

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::options::{self, FunctionOptions};
use super::output;
use super::picture;
use super::seeding::Seeding;
use crate::aws::{Aws, Behaviour, CopyFailure};
use crate::host::{Function, Host};
use arguments::Goal;
use queues::Queues;
use simulation::{Simulation, print_answer};

pub(super) use arguments::Arguments;

/// Runs the command.
pub(super) async fn run(arguments: Arguments) -> ExitCode {
    let payload = match read(&arguments.event) {
        Ok(payload) => payload,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return output::fail(format!("there is no file {}: events/ has samples", arguments.event.display()));
        }
        Err(error) => {
            let file = arguments.event.display();
            return output::fail(format!(
                "cannot read {file}: {error}. Give a file with an event as JSON: events/ has samples"
            ));
        }
    };
    if payload.trim_ascii().is_empty() {
        let from = if arguments.event.as_os_str() == "-" { "stdin".into() } else { arguments.event.to_string_lossy() };
        return output::fail(format!(
            "{from} is empty: give an event as JSON, such as events/ec2-ami-state-change.json"
        ));
    }
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(&payload) {
        eprintln!(
            "The event is not JSON: {error}. Lambda refuses such an event itself. Here it goes to the function as it is:"
        );
    }
    if arguments.picture.is_some() && arguments.until == Goal::Answer {
        return output::fail("--picture draws what --until prints: add --until finished");
    }
    if !arguments.then_tag.is_empty() && arguments.until != Goal::Finished {
        return output::fail("--then-tag follows a copy that is finished: add --until finished");
    }
    if let Some(Err(reason)) = arguments.picture.as_deref().map(picture::check) {
        return output::fail(reason);
    }
    let done = match &arguments.function.endpoint_url {
        None => on_embedded_aws(&arguments, &payload).await,
        Some(_) if arguments.until != Goal::Answer || arguments.weak => {
            Err("--until and --weak need the AWS of this command: leave out --endpoint-url".to_owned())
        }
        Some(url) => on_server(&arguments.function, url, &payload).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => output::fail(reason),
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut payload = Vec::new();
        std::io::stdin().read_to_end(&mut payload)?;
        return Ok(payload);
    }
    std::fs::read(path)
}

/// Runs the function against a server that is running already and has the AMIs.
async fn on_server(options: &FunctionOptions, url: &str, payload: &[u8]) -> Result<(), String> {
    options::reach(url).await?;
    let host = start(options.function()?.endpoint_url(url)).await?;
    let answer = host.invoke_raw(payload).await;
    print_logs(options, &host);
    let answer = answer.map_err(|error| options::explain(&error, &host.logs()))?;
    print_answer(&serde_json::from_slice(payload).unwrap_or_default(), &answer);
    eprintln!("The AMIs are on {url}: this command added none, and prints no table.");
    Ok(())
}

async fn on_embedded_aws(arguments: &Arguments, payload: &[u8]) -> Result<(), String> {
    let options = &arguments.function;
    let function = options.function()?;
    let event: Value = serde_json::from_slice(payload).unwrap_or_default();
    let seeding = Seeding::of(&event, options);
    let aws = Aws::start().await.map_err(|error| format!("cannot open a port on loopback: {error}"))?;
    let queues = Queues::add(&mut aws.world(), &options.region);
    if arguments.weak {
        aws.world().behaviour = Behaviour::weakest();
    }
    seeding.plant(&mut aws.world(), &options.region);
    if arguments.until == Goal::Failed {
        for seed in &seeding.images {
            aws.world().fail_next_copy(&seed.image_id, CopyFailure::key_not_accessible());
        }
    }
    let host = start(
        function
            .set("QUEUE_URL", &queues.work)
            .set("DEAD_LETTER_QUEUE_URL", &queues.dead_letters)
            .endpoint_url(&aws.endpoint())
            .account(&seeding.account),
    )
    .await?;
    let mut simulation = Simulation::new(aws, host, queues, &options.region, arguments.until);
    let mut outcome = simulation.run(event, payload).await;
    for (key, value) in &arguments.then_tag {
        if outcome.is_ok() {
            outcome = simulation.tag_sources(&seeding, key, value).await;
        }
    }
    print_logs(options, simulation.host());
    simulation.print_images(&seeding, outcome.is_ok());
    let drawn = arguments.picture.as_deref().map_or(Ok(()), |path| picture::write(path, simulation.moments()));
    outcome.and(drawn)
}

async fn start(function: Function) -> Result<Host, String> {
    function.start().await.map_err(|error| options::why_not_started(&error))
}

fn print_logs(options: &FunctionOptions, host: &Host) {
    if options.logs {
        host.logs().iter().for_each(|line| eprintln!("{line}"));
    }
}
