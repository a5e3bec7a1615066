//! Where the CPU time goes: the instructions of each program, counted by callgrind.
//!
//! A count does not depend on what else runs on the machine, so it shows gains that times hide. It leaves out the kernel's
//! share, and callgrind's processor has no instructions for SHA-256: the counts explain the figures, they are none.

use std::fs;
use std::path::Path;

use crate::Outcome;
use crate::aws::{Aws, Scene};
use crate::measure::check;
use crate::peers::{Peers, Program, Subject};
use crate::process::Process;

/// Writes one profile for each kind of work, cold and warm, into `folder` (for `callgrind_annotate`), and prints the counts.
pub(crate) async fn count(aws: &Aws, peers: &Peers, folder: &Path) -> Outcome<()> {
    const WARM: u32 = 20;
    fs::create_dir_all(folder)?;
    println!("| | cold, million instructions | warm, thousand an announcement |\n|---|--:|--:|");
    for (number, subject) in peers.subjects().iter().enumerate() {
        if subject.program == Program::Python {
            continue;
        }
        let profile = |state: &str| folder.join(format!("{number}-{state}"));
        let cold = instructions(aws, peers, subject, 1, &profile("cold")).await?;
        let warm = instructions(aws, peers, subject, 1 + WARM, &profile("warm")).await?;
        let each = warm.saturating_sub(cold) / u64::from(WARM) / u64::from(subject.announcements);
        println!("| {} | {}.{} | {} |", subject.name, cold / 1_000_000, cold / 100_000 % 10, each / 1000);
    }
    Ok(())
}

/// The instructions of a process that handles so many events, from its start to its end.
async fn instructions(aws: &Aws, peers: &Peers, subject: &Subject, events: u32, profile: &Path) -> Outcome<u64> {
    aws.set(Scene::default());
    let mut command = tokio::process::Command::new("valgrind");
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", profile.display()));
    let program = peers.command(subject.program, aws);
    command.arg(program.as_std().get_program()).env_clear();
    command.envs(program.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut process = Process::start(command).await?;
    for _ in 0..events {
        check(&process.invoke(&subject.event).await?.1)?;
    }
    process.terminate().await?;
    let text = fs::read_to_string(profile)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")).ok_or("a profile without totals")?;
    Ok(total.trim().parse()?)
}
