//! The embedded AWS alone, for other clients: `sam local invoke`, `cargo lambda`, boto3, the AWS CLI.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use super::events_to::{self, Endpoint};
use super::options::whole;
use super::output;
use super::seeding::{Seed, Seeding};
use crate::aws::{ACCOUNT, Aws, Behaviour, Key};

/// Serve EC2, the EBS direct API, SQS, SSM, EventBridge, STS and IAM on one port until Ctrl-C.
///
/// Any credentials are valid. The Region is the one that the client signs for. An access key id with 12 digits in it, such
/// as AKIA111122223333TEST, means that account; any other means 123456789012. Time passes as usual, unless --rate is
/// given: a copy is pending for 20 minutes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo run -p local -- serve
  cargo run -p local -- serve --port 0 --rate 60 --source us-east-1:ami-5731123e:golden
  cargo run -p local -- serve --host 0.0.0.0 --seed-for events/ec2-ami-state-change.json     # for a container
  cargo run -p local -- serve --port 4567 --copy-takes 5 --events-to http://127.0.0.1:4566       # EC2 for LocalStack
  AWS_ENDPOINT_URL=http://127.0.0.1:4566 aws ec2 describe-images --owners self --region us-east-1")]
#[allow(clippy::doc_markdown, reason = "these lines are printed by --help as they are")]
pub(super) struct Arguments {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 4566, value_parser = whole::<u16>)]
    port: u16,

    /// Address to listen on; with 0.0.0.0, containers and other machines can connect.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,

    /// Add the AMIs that this event names; can be repeated.
    #[arg(long, value_name = "EVENT.json")]
    seed_for: Vec<PathBuf>,

    /// Add an available AMI; can be repeated.
    #[arg(long, value_name = "REGION:AMI-ID[:NAME]", value_parser = source)]
    source: Vec<Seed>,

    /// The Region that the function will run in, for --seed-for.
    #[arg(long, value_name = "REGION", default_value = "eu-west-1")]
    region: String,

    /// How many seconds pass in this AWS for each real second.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = rate)]
    rate: f64,

    /// Be the weakest EC2 that its documentation permits: names are not unique, a new AMI is not visible for 15 minutes, a
    /// deregistered AMI is InvalidAMIID.NotFound immediately, and the client token of a dead AMI is an error.
    #[arg(long)]
    weak: bool,

    /// How many seconds a copy is pending, instead of 20 minutes.
    #[arg(long, value_name = "SECONDS", value_parser = whole::<u64>)]
    copy_takes: Option<u64>,

    /// How many seconds a new AMI is not visible.
    #[arg(long, value_name = "SECONDS", value_parser = whole::<u64>)]
    lag: Option<u64>,

    /// Add a KMS key by its alias; can be repeated.
    #[arg(long, value_name = "REGION:alias/NAME", value_parser = key)]
    key: Vec<(String, Key)>,

    /// Put EC2's events onto the default buses of the EventBridge at this endpoint, which must not care who puts them:
    /// LocalStack.
    #[arg(long, value_name = "http://HOST:PORT", value_parser = Endpoint::parse)]
    events_to: Option<Endpoint>,

    /// Lose EC2's events of AMIs that were registered under a name that begins so, as EC2 may.
    #[arg(long, value_name = "PREFIX", requires = "events_to")]
    lose: Option<String>,
}

/// Runs the command.
pub(super) async fn run(arguments: Arguments) -> ExitCode {
    let seeding = match arguments.seeding() {
        Ok(seeding) => seeding,
        Err(reason) => return output::fail(reason),
    };
    let (aws, endpoint) = match listen(arguments.host, arguments.port).await {
        Ok(listening) => listening,
        Err(error) => {
            return output::fail(format!(
                "cannot listen on {}, port {}: {error}; choose another with --port",
                arguments.host, arguments.port
            ));
        }
    };
    {
        let mut world = aws.world();
        world.set_rate(arguments.rate);
        if arguments.weak {
            world.behaviour = Behaviour::weakest();
        }
        if let Some(seconds) = arguments.copy_takes {
            world.behaviour.copy_duration = Duration::from_secs(seconds);
        }
        if let Some(seconds) = arguments.lag {
            world.behaviour.hide_new_images_for(Duration::from_secs(seconds));
        }
        for (region, key) in &arguments.key {
            world.add_key(region, key.clone());
        }
        seeding.plant(&mut world, &arguments.region);
    }
    for seed in &seeding.images {
        output::say(format_args!("{} has {}", seed.region, seed.image_id));
    }
    output::say("EC2, EBS, SQS, SSM, EventBridge, STS and IAM are on this endpoint. Ctrl-C stops them.");
    output::say(format_args!("AWS_ENDPOINT_URL={endpoint}"));
    if let Some(endpoint) = arguments.events_to {
        tokio::spawn(events_to::forward(aws.clone(), endpoint, arguments.lose));
    }
    stop_signal().await;
    ExitCode::SUCCESS
}

impl Arguments {
    fn seeding(&self) -> Result<Seeding, String> {
        let mut seeding = Seeding::in_account(ACCOUNT);
        for path in &self.seed_for {
            let text = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            let event: Value =
                serde_json::from_slice(&text).map_err(|error| format!("{} is not JSON: {error}", path.display()))?;
            seeding.add_all_of(&event, &self.region);
        }
        self.source.iter().for_each(|seed| seeding.add(seed.clone()));
        Ok(seeding)
    }
}

fn source(text: &str) -> Result<Seed, String> {
    let mut parts = text.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(region), Some(image_id), name) if !region.is_empty() && image_id.starts_with("ami-") => {
            Ok(Seed { name: name.map(str::to_owned), ..Seed::new(region, image_id) })
        }
        _ => Err("expected REGION:AMI-ID or REGION:AMI-ID:NAME".to_owned()),
    }
}

fn key(text: &str) -> Result<(String, Key), String> {
    match text.split_once(":alias/") {
        Some((region, name)) if !region.is_empty() && !name.is_empty() => {
            Ok((region.to_owned(), Key::new(name).alias(name)))
        }
        _ => Err("expected REGION:alias/NAME".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate >= 0.0 => Ok(rate),
        _ => Err("expected a number that is not negative".to_owned()),
    }
}

/// The embedded AWS and its endpoint. It listens on loopback only; connections to another address are forwarded to it.
async fn listen(host: IpAddr, port: u16) -> io::Result<(Aws, String)> {
    if host == Ipv4Addr::LOCALHOST {
        let aws = Aws::start_on(port).await?;
        let endpoint = aws.endpoint();
        return Ok((aws, endpoint));
    }
    let listener = TcpListener::bind((host, port)).await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let aws = Aws::start().await?;
    let on_loopback = aws.endpoint().trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        // An error is about one connection (too many open files, a client that is gone); the next may succeed.
        loop {
            if let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, on_loopback.clone()));
            }
        }
    });
    Ok((aws, endpoint))
}

/// Forwards one connection until it ends. An error means that one side closed it.
async fn forward(mut client: TcpStream, to: String) -> io::Result<()> {
    let mut server = TcpStream::connect(to).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Waits for Ctrl-C, or for the signal by which scripts and containers stop a server.
async fn stop_signal() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_region_and_id_and_may_have_a_name() {
        assert_eq!(source("us-east-1:ami-5731123e"), Ok(Seed::new("us-east-1", "ami-5731123e")));
        let named = Seed { name: Some("a:b".to_owned()), ..Seed::new("us-east-1", "ami-5731123e") };
        assert_eq!(source("us-east-1:ami-5731123e:a:b"), Ok(named));
        assert!(source("ami-5731123e").is_err());
        assert!(source("us-east-1:snap-1").is_err());
    }

    #[test]
    fn a_key_is_a_region_and_an_alias() {
        let (region, key) = key("us-east-1:alias/golden").expect("one");
        assert_eq!((region.as_str(), key.aliases), ("us-east-1", vec!["alias/golden".to_owned()]));
        assert!(super::key("alias/golden").is_err() && super::key("us-east-1:golden").is_err());
    }

    #[test]
    fn time_cannot_run_backwards() {
        assert_eq!(rate("60"), Ok(60.0));
        assert!(rate("-1").is_err() && rate("NaN").is_err() && rate("fast").is_err());
    }
}
