//! The embedded AWS alone, for whoever brings the function along: `sam local invoke`, `cargo lambda`, boto3, the AWS CLI.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use super::output;
use super::seeding::{Seed, Seeding};
use crate::aws::{ACCOUNT, Aws};

/// Serve EC2, SQS, SSM and EventBridge on one port until Ctrl-C.
///
/// Any credentials do. The Region is the one that the client signs for; an access key id with 12 digits in it, such
/// as AKIA111122223333TEST, stands for that account, any other for 123456789012. Time passes as outside, unless --rate says
/// otherwise: a copy is pending for 20 minutes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo run -p local -- serve
  cargo run -p local -- serve --port 0 --rate 60 --source us-east-1:ami-5731123e:golden
  cargo run -p local -- serve --host 0.0.0.0 --seed-for events/ec2-ami-state-change.json     # for a container
  AWS_ENDPOINT_URL=http://127.0.0.1:4566 aws ec2 describe-images --owners self --region us-east-1")]
#[allow(clippy::doc_markdown, reason = "these lines are printed by --help as they are")]
pub(super) struct Arguments {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 4566)]
    port: u16,

    /// Address to listen on; 0.0.0.0 lets containers and other machines in.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,

    /// Put in the AMIs that this event names; can be repeated.
    #[arg(long, value_name = "EVENT.json")]
    seed_for: Vec<PathBuf>,

    /// Put in an available AMI; can be repeated.
    #[arg(long, value_name = "REGION:AMI-ID[:NAME]", value_parser = source)]
    source: Vec<Seed>,

    /// The Region that the function will stand in: what --seed-for takes for its own.
    #[arg(long, value_name = "REGION", default_value = "eu-west-1")]
    region: String,

    /// How many seconds pass here for each real second.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = rate)]
    rate: f64,
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
        seeding.plant(&mut world, &arguments.region);
    }
    for seed in &seeding.images {
        output::say(format_args!("{} has {}", seed.region, seed.image_id));
    }
    output::say("EC2, SQS, SSM and EventBridge are on this endpoint; Ctrl-C ends them.");
    output::say(format_args!("AWS_ENDPOINT_URL={endpoint}"));
    until_told_to_stop().await;
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

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate >= 0.0 => Ok(rate),
        _ => Err("expected a number that is not negative".to_owned()),
    }
}

/// The embedded AWS and its endpoint. It listens on loopback only: another address is forwarded to it.
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
        // The listener fails for one connection at a time (too many open files, a client gone): the next may do.
        loop {
            if let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, on_loopback.clone()));
            }
        }
    });
    Ok((aws, endpoint))
}

/// One connection, to its end. An error is a side that hung up, which is its end as well.
async fn forward(mut client: TcpStream, to: String) -> io::Result<()> {
    let mut server = TcpStream::connect(to).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Ctrl-C, or the signal with which scripts and containers end a server.
async fn until_told_to_stop() {
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
    // If the signal cannot be listened for, its default action ends the process all the same.
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
    fn time_cannot_run_backwards() {
        assert_eq!(rate("60"), Ok(60.0));
        assert!(rate("-1").is_err() && rate("NaN").is_err() && rate("fast").is_err());
    }
}
