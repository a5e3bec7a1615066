//! Measures what `docs/figures.md` claims: ami-courier beside the smallest possible Lambda function, beside the least that makes
//! the same calls, and beside Python.
//!
//! `cargo run --release -p bench` builds the peers, runs them in turn as Lambda would (a fresh process, the Runtime API,
//! one event at a time), and writes `benches/figures.md` and two pictures.
//!
//! The programs run unchanged. In the benchmark's own network, AWS's real host names resolve to servers on loopback. These
//! use HTTPS, with certificates of an authority that is the last one in the bundle of root certificates.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;

mod aws;
mod certificates;
mod figures;
mod instructions;
mod measure;
mod network;
mod peers;
mod picture;
mod process;
mod runtime_api;

use aws::Aws;
use figures::Figures;
use measure::Measure;
use peers::Peers;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Measures ami-courier beside its peers
#[derive(Parser)]
struct Options {
    /// Number of fresh processes of each peer; the figures are medians of these
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Number of invocations of each warm process
    #[arg(long, default_value_t = 50)]
    warm: u32,
    /// Duration of an EC2 answer when round trips are counted, in milliseconds
    #[arg(long, default_value_t = 50)]
    round_trip: u64,
    /// Number of source AMIs in the largest sweep
    #[arg(long, default_value_t = 50_000)]
    images: usize,
    /// Number of source AMIs whose status is asked for
    #[arg(long, default_value_t = 5_000)]
    status_images: usize,
    /// Path of a built function, to use instead of building one
    #[arg(long)]
    function: Option<PathBuf>,
    /// Only count instructions, with callgrind, and write its profiles into this folder
    #[arg(long, value_name = "FOLDER")]
    instructions: Option<PathBuf>,
    /// Do not measure the Python function
    #[arg(long)]
    no_python: bool,
    /// The peers are built, and this process runs in the benchmark's own network
    #[arg(long, hide = true)]
    inside: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let options = Options::parse();
    let peers = Peers::beside(&std::env::current_exe()?, options.function, !options.no_python)?;
    if !options.inside {
        peers.build()?;
        return network::enter();
    }
    let aws = Aws::start().await?;
    if let Some(folder) = options.instructions {
        return instructions::count(&aws, &peers, &folder).await;
    }
    let measure = Measure { aws: &aws, peers: &peers, rounds: options.rounds };
    let figures = Figures {
        cold: measure.cold(options.warm).await?,
        throttled: measure.cold_at_128_mb().await?,
        calls: measure.calls().await?,
        round_trips: measure.round_trips(Duration::from_millis(options.round_trip)).await?,
        latency: measure.latency(Duration::from_millis(options.round_trip)).await?,
        sweeps: measure.sweeps(options.images).await?,
        statuses: measure.statuses(options.status_images).await?,
        sizes: peers.sizes()?,
        rounds: options.rounds,
        roots: aws.certificates.roots()?,
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::write(folder.join("figures.md"), figures.to_string())?;
    std::fs::write(folder.join("figures.svg"), picture::draw(&figures)?)?;
    std::fs::write(folder.join("cold-start.svg"), picture::cold_start(&figures)?)?;
    println!("{figures}");
    Ok(())
}
