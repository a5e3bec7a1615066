//! The figures as Markdown.

use std::fmt;
use std::time::Duration;

use crate::measure::{Burst, Calls, Latency, Need, RoundTrips, Sweep};
use crate::peers::{Program, Size};

/// All results of one run.
pub(crate) struct Figures {
    pub(crate) cold: Vec<Need>,
    pub(crate) throttled: Vec<Need>,
    pub(crate) calls: Vec<Calls>,
    pub(crate) round_trips: RoundTrips,
    pub(crate) latency: Latency,
    pub(crate) sweeps: Vec<Sweep>,
    pub(crate) statuses: Vec<(&'static str, Sweep)>,
    pub(crate) sizes: Vec<Size>,
    pub(crate) rounds: usize,
    pub(crate) roots: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Medians of {} fresh processes each, in turn; HTTPS on loopback with {} root certificates. \
             \"Cold\" is from the start of the process to its first answer.\n",
            self.rounds, self.roots
        )?;
        writeln!(
            f,
            "| | init ms | first answer ms | cold ms | cold CPU ms | floor = 1 | warm answer ms | warm CPU ms an announcement | peak memory MiB |"
        )?;
        writeln!(f, "|---|--:|--:|--:|--:|--:|--:|--:|--:|")?;
        let floor =
            self.cold.iter().find(|need| need.program == Program::Floor).map(|need| need.cold_cpu.as_secs_f64());
        for need in &self.cold {
            write!(
                f,
                "| {} | {} | {} | {} | {} | {:.1} |",
                need.name,
                ms(need.init),
                ms(need.first),
                ms(need.cold),
                ms(need.cold_cpu),
                need.cold_cpu.as_secs_f64() / floor.unwrap_or(f64::NAN)
            )?;
            match &need.warm {
                Some(warm) => write!(f, " {} | {} |", ms(warm.answer), ms(warm.cpu_per_announcement))?,
                None => write!(f, " | |")?,
            }
            writeln!(f, " {:.1} |", need.peak_memory)?;
        }
        self.beside_the_least(f)?;
        if !self.throttled.is_empty() {
            writeln!(f, "\nAs a function of 128 MB, which has 7 % of a CPU once its init phase is over:\n")?;
            writeln!(f, "| | init ms | first answer ms | cold ms |\n|---|--:|--:|--:|")?;
            for need in &self.throttled {
                writeln!(f, "| {} | {} | {} | {} |", need.name, ms(need.init), ms(need.first), ms(need.cold))?;
            }
        }
        writeln!(f, "\n| AWS calls for | EC2 | EventBridge |\n|---|--:|--:|")?;
        for Calls { case, ec2, others } in &self.calls {
            writeln!(f, "| {case} | {ec2} | {others} |")?;
        }
        let RoundTrips { round_trip, one, ten } = &self.round_trips;
        writeln!(
            f,
            "\nWhen each answer of AWS takes {} ms, a warm batch of one takes {} ms and a batch of ten {} ms: {:.1} round trips more.",
            round_trip.as_millis(),
            ms(*one),
            ms(*ten),
            (ten.as_secs_f64() - one.as_secs_f64()) / round_trip.as_secs_f64()
        )?;
        let Latency { round_trip, cold, warm, burst } = &self.latency;
        let Burst { announcements, processes, half, all } = burst;
        writeln!(
            f,
            "\nFrom the event until EC2 has accepted the copy, when each answer of AWS takes {} ms: {} ms cold, from the start of the \
             process; {} ms warm; of a burst of {announcements} to {processes} warm processes, in batches of ten, half within {} ms \
             and all within {} ms.",
            round_trip.as_millis(),
            ms(*cold),
            ms(*warm),
            ms(*half),
            ms(*all)
        )?;
        writeln!(
            f,
            "\n| sweep over source AMIs, and as many copies | AWS calls | time s | CPU s | peak memory MiB |\n|--:|--:|--:|--:|--:|"
        )?;
        for Sweep { images, sources_are_old, time, cpu, peak_memory, calls } in &self.sweeps {
            let old = if *sources_are_old { ", sources older than `BACKFILL_DAYS`" } else { "" };
            writeln!(
                f,
                "| {images}{old} | {calls} | {:.2} | {:.2} | {peak_memory:.1} |",
                time.as_secs_f64(),
                cpu.as_secs_f64()
            )?;
        }
        writeln!(
            f,
            "\n| answer over source AMIs, and as many copies | AMIs | AWS calls | time s | CPU s | peak memory MiB |\n|---|--:|--:|--:|--:|--:|"
        )?;
        for (answer, Sweep { images, time, cpu, peak_memory, calls, .. }) in &self.statuses {
            writeln!(
                f,
                "| {answer} | {images} | {calls} | {:.2} | {:.2} | {peak_memory:.1} |",
                time.as_secs_f64(),
                cpu.as_secs_f64()
            )?;
        }
        writeln!(f, "\n| | binary MB | zip MB |\n|---|--:|--:|")?;
        for Size { name, file, archive } in &self.sizes {
            writeln!(f, "| {name} | {} | {} |", megabytes(*file), megabytes(*archive))?;
        }
        Ok(())
    }
}

impl Figures {
    /// How often ami-courier needs what the least with the same calls needs, for one AMI.
    fn beside_the_least(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(least) = self.cold.iter().find(|need| need.program == Program::Least) else { return Ok(()) };
        let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
        writeln!(
            f,
            "\n| the least with the same calls = 1 | cold | cold CPU | warm | warm CPU | peak memory |\n|---|--:|--:|--:|--:|--:|"
        )?;
        for need in self.cold.iter().filter(|need| need.program == Program::Courier && !need.name.ends_with("ten")) {
            let (cold, cpu) = (ratio(need.cold, least.cold), ratio(need.cold_cpu, least.cold_cpu));
            write!(f, "| {} | {cold:.1} | {cpu:.1} |", need.name)?;
            if let (Some(warm), Some(of_least)) = (&need.warm, &least.warm) {
                let (answer, cpu) = (
                    ratio(warm.answer, of_least.answer),
                    ratio(warm.cpu_per_announcement, of_least.cpu_per_announcement),
                );
                write!(f, " {answer:.1} | {cpu:.1} |")?;
            } else {
                write!(f, " | |")?;
            }
            writeln!(f, " {:.1} |", need.peak_memory / least.peak_memory)?;
        }
        Ok(())
    }
}

fn ms(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    if milliseconds < 10.0 { format!("{milliseconds:.2}") } else { format!("{milliseconds:.0}") }
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{:02}", bytes / 1_000_000, bytes % 1_000_000 / 10_000)
}
