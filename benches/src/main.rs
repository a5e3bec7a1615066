//! The measured claims of the README: ami-courier side by side with the least a Lambda function can do, and with Python.
//!
//! `cargo run --release -p bench` builds the peers, runs them in turn as Lambda would (a fresh process, the Runtime API,
//! one event at a time), and writes `benches/figures.md` and `benches/figures.svg`.
//!
//! Nothing of what is measured knows that it is measured: in the benchmark's own network, AWS's real host names lead to
//! servers on loopback, with HTTPS, and with certificates of an authority that stands behind all the host's own roots.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;

mod aws;
mod certificates;
mod figures;
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

/// Measures ami-courier beside its peers.
#[derive(Parser)]
struct Options {
    /// Fresh processes of each peer; the figures are medians over them.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Invocations of each warm process.
    #[arg(long, default_value_t = 50)]
    warm: u32,
    /// What EC2 takes for an answer where round trips are counted, in milliseconds.
    #[arg(long, default_value_t = 50)]
    round_trip: u64,
    /// Source AMIs of the largest sweep.
    #[arg(long, default_value_t = 50_000)]
    images: usize,
    /// A function that is built already, instead of one that is built now.
    #[arg(long)]
    function: Option<PathBuf>,
    /// Leave the Python function out.
    #[arg(long)]
    no_python: bool,
    /// The peers are built, and this is the benchmark's own network.
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
    let measure = Measure { aws: &aws, peers: &peers, rounds: options.rounds };
    let figures = Figures {
        cold: measure.cold(options.warm).await?,
        throttled: measure.cold_at_128_mb().await?,
        calls: measure.calls().await?,
        round_trips: measure.round_trips(Duration::from_millis(options.round_trip)).await?,
        sweeps: measure.sweeps(options.images).await?,
        sizes: peers.sizes()?,
        rounds: options.rounds,
        roots: aws.certificates.roots()?,
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::write(folder.join("figures.md"), figures.to_string())?;
    std::fs::write(folder.join("figures.svg"), picture::draw(&figures)?)?;
    println!("{figures}");
    Ok(())
}
