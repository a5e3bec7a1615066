//! The measurements. Each uses fresh processes, and the peers take turns, so that other load on the machine affects all alike.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hyper::body::Bytes;
use serde_json::Value;

use crate::Outcome;
use crate::aws::{Aws, QUEUE, Scene};
use crate::peers::{self, Peers, Program, Subject};
use crate::process::{Process, Share};

/// The resources that one peer needed: medians.
pub(crate) struct Need {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    pub(crate) init: Duration,
    pub(crate) first: Duration,
    /// Init and first answer.
    pub(crate) cold: Duration,
    /// CPU time from the start of the process until it asks for its second event.
    pub(crate) cold_cpu: Duration,
    /// An answer of a process that has answered before. `None` if it was not measured.
    pub(crate) warm: Option<Warm>,
    /// MiB.
    pub(crate) peak_memory: f64,
}

pub(crate) struct Warm {
    pub(crate) answer: Duration,
    pub(crate) cpu_per_announcement: Duration,
}

/// How often AWS was called for one announcement, by action.
pub(crate) struct Calls {
    pub(crate) case: &'static str,
    pub(crate) ec2: usize,
    pub(crate) others: usize,
}

/// How long a warm process takes for one announcement and for ten, when each answer of EC2 takes a round trip.
pub(crate) struct RoundTrips {
    pub(crate) round_trip: Duration,
    pub(crate) one: Duration,
    pub(crate) ten: Duration,
}

/// How long it takes from the event until EC2 has accepted the copy, when each answer of AWS takes a round trip.
pub(crate) struct Latency {
    pub(crate) round_trip: Duration,
    /// A new process: from its start.
    pub(crate) cold: Duration,
    pub(crate) warm: Duration,
    pub(crate) burst: Burst,
}

/// Announcements that come all at once, to as many warm processes as the template allows by default.
pub(crate) struct Burst {
    pub(crate) announcements: usize,
    pub(crate) processes: usize,
    /// Of half of the announcements, and of all.
    pub(crate) half: Duration,
    pub(crate) all: Duration,
}

/// The resources that a sweep, or a status, over so many source AMIs and as many copies needed.
pub(crate) struct Sweep {
    pub(crate) images: usize,
    /// Older than `BACKFILL_DAYS`: not listed.
    pub(crate) sources_are_old: bool,
    pub(crate) time: Duration,
    pub(crate) cpu: Duration,
    pub(crate) peak_memory: f64,
    pub(crate) calls: usize,
}

pub(crate) struct Measure<'a> {
    pub(crate) aws: &'a Aws,
    pub(crate) peers: &'a Peers,
    pub(crate) rounds: usize,
}

impl Measure<'_> {
    /// Each peer on a whole CPU, cold and, `warm` times, warm.
    pub(crate) async fn cold(&self, warm: u32) -> Outcome<Vec<Need>> {
        self.needs(warm, None).await
    }

    /// Each peer with the CPU share of a function of 128 MB. Empty if this machine cannot limit a process to a share of a CPU.
    pub(crate) async fn cold_at_128_mb(&self) -> Outcome<Vec<Need>> {
        match Share::of_128_mb() {
            Ok(share) => self.needs(0, Some(&share)).await,
            Err(why) => {
                eprintln!("no measurement at a share of a CPU: this machine does not allow control groups: {why}");
                Ok(Vec::new())
            }
        }
    }

    async fn needs(&self, warm: u32, share: Option<&Share>) -> Outcome<Vec<Need>> {
        self.aws.set(Scene::default());
        let subjects = self.peers.subjects();
        let mut seen: Vec<Vec<Need>> = subjects.iter().map(|_| Vec::new()).collect();
        for round in 0..=self.rounds {
            for (subject, seen) in subjects.iter().zip(&mut seen) {
                let need = self.need(subject, warm, share).await?;
                // The first round only warms the page cache.
                if round > 0 {
                    seen.push(need);
                }
            }
            eprint!("\rround {round} of {}", self.rounds);
        }
        eprintln!();
        Ok(seen.iter().map(|needs| Need::median(needs)).collect())
    }

    async fn need(&self, subject: &Subject, warm: u32, share: Option<&Share>) -> Outcome<Need> {
        let mut process = Process::start(self.peers.command(subject.program, self.aws)).await?;
        if let Some(share) = share {
            process.throttle(share)?;
        }
        let (first, answer) = process.invoke(&subject.event).await?;
        check(&answer)?;
        let cold_cpu = process.cpu()?;
        let mut answers = Vec::new();
        for _ in 0..warm {
            answers.push(process.invoke(&subject.event).await?.0);
        }
        let warm = (warm > 0).then(|| -> Outcome<Warm> {
            let cpu_per_announcement = process.cpu()?.saturating_sub(cold_cpu) / warm / subject.announcements;
            Ok(Warm { answer: median(answers), cpu_per_announcement })
        });
        let need = Need {
            name: subject.name,
            program: subject.program,
            init: process.init,
            first,
            cold: process.init + first,
            cold_cpu,
            warm: warm.transpose()?,
            peak_memory: process.peak_memory()?,
        };
        process.end().await?;
        Ok(need)
    }

    /// How often AWS is called for a new AMI, and for one that has a copy.
    pub(crate) async fn calls(&self) -> Outcome<Vec<Calls>> {
        let mut calls = Vec::new();
        let subject = self.subject("ami-courier, a batch of one")?;
        for (case, copied) in [("a new AMI", false), ("an AMI that has a copy", true)] {
            self.aws.set(Scene { copied, ..Scene::default() });
            let mut process = Process::start(self.peers.command(subject.program, self.aws)).await?;
            check(&process.invoke(&subject.event).await?.1)?;
            process.end().await?;
            let (ec2, others): (BTreeMap<_, _>, _) =
                self.aws.calls().into_iter().partition(|(action, _)| !action.starts_with("AWSEvents"));
            calls.push(Calls { case, ec2: ec2.values().sum(), others: others.values().sum() });
        }
        Ok(calls)
    }

    /// Whether ten announcements are handled at the same time.
    pub(crate) async fn round_trips(&self, round_trip: Duration) -> Outcome<RoundTrips> {
        self.aws.set(Scene { delay: round_trip, ..Scene::default() });
        let mut took = Vec::new();
        for name in ["ami-courier, a batch of one", "ami-courier, a batch of ten"] {
            let subject = self.subject(name)?;
            let mut process = Process::start(self.peers.command(subject.program, self.aws)).await?;
            check(&process.invoke(&subject.event).await?.1)?;
            let mut answers = Vec::new();
            for _ in 0..self.rounds {
                answers.push(process.invoke(&subject.event).await?.0);
            }
            process.end().await?;
            took.push(median(answers));
        }
        Ok(RoundTrips { round_trip, one: took[0], ten: took[1] })
    }

    /// From the event to the copy that EC2 has accepted.
    pub(crate) async fn latency(&self, round_trip: Duration) -> Outcome<Latency> {
        const BURST: usize = 100;
        /// `MaximumConcurrency` of the template.
        const PROCESSES: usize = 2;
        let scene = Scene { delay: round_trip, ..Scene::default() };
        let subject = self.subject("ami-courier, a batch of one")?;
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            self.aws.set(scene.clone());
            let mut process = Process::start(self.peers.command(subject.program, self.aws)).await?;
            check(&process.invoke(&subject.event).await?.1)?;
            cold.push(self.accepted(1)?[0] - process.started);
            self.aws.set(scene.clone());
            let handed_over = Instant::now();
            check(&process.invoke(&subject.event).await?.1)?;
            warm.push(self.accepted(1)?[0] - handed_over);
            process.end().await?;
        }
        let mut processes = Vec::new();
        for _ in 0..PROCESSES {
            let mut process = Process::start(self.peers.command(subject.program, self.aws)).await?;
            check(&process.invoke(&subject.event).await?.1)?;
            processes.push(process);
        }
        self.aws.set(scene);
        let batches = RefCell::new(peers::burst(BURST).into_iter());
        let came = Instant::now();
        let worked = join_all(processes.iter_mut().map(async |process| -> Outcome<()> {
            loop {
                let Some(batch) = batches.borrow_mut().next() else { return Ok(()) };
                check(&process.invoke(&batch).await?.1)?;
            }
        }));
        worked.await.into_iter().collect::<Outcome<()>>()?;
        let accepted = self.accepted(BURST)?;
        let burst = Burst {
            announcements: BURST,
            processes: PROCESSES,
            half: accepted[BURST / 2 - 1] - came,
            all: accepted[BURST - 1] - came,
        };
        for process in processes {
            process.end().await?;
        }
        Ok(Latency { round_trip, cold: median(cold), warm: median(warm), burst })
    }

    /// When so many copies were accepted: no more, no less.
    fn accepted(&self, copies: usize) -> Outcome<Vec<Instant>> {
        let mut accepted = self.aws.accepted();
        accepted.sort();
        if accepted.len() == copies {
            Ok(accepted)
        } else {
            Err(format!("{} copies, not {copies}", accepted.len()).into())
        }
    }

    /// Sweeps over more and more AMIs that all have a copy in step: the sweep looks at all of them and finds nothing to do.
    pub(crate) async fn sweeps(&self, most: usize) -> Outcome<Vec<Sweep>> {
        let mut sweeps = Vec::new();
        for images in [0, most / 10, most / 4, most / 2, most] {
            sweeps.push(self.looks_at(images, false, &peers::sweep()).await?.0);
        }
        sweeps.push(self.looks_at(most, true, &peers::sweep()).await?.0);
        Ok(sweeps)
    }

    /// The status, and the widget of a dashboard, of so many AMIs that all have a copy.
    pub(crate) async fn statuses(&self, images: usize) -> Outcome<Vec<(&'static str, Sweep)>> {
        let (status, answer) = self.looks_at(images, false, &peers::status()).await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        if answer["Counts"]["Finished"] != images {
            return Err(format!("not all are finished: {}", answer["Counts"]).into());
        }
        let (widget, page) = self.looks_at(images, false, &peers::widget()).await?;
        let page: Value = serde_json::from_slice(&page)?;
        if !page.as_str().is_some_and(|html| html.contains(&format!(" of {images} are shown"))) {
            return Err(format!("not the widget: {page}").into());
        }
        Ok(vec![("status, as JSON", status), ("widget of a dashboard, as HTML", widget)])
    }

    /// One invocation of a fresh process that lists so many source AMIs, and as many copies.
    async fn looks_at(&self, images: usize, sources_are_old: bool, event: &Bytes) -> Outcome<(Sweep, Bytes)> {
        self.aws.set(Scene { copied: true, images, sources_are_old, ..Scene::default() });
        let mut command = self.peers.command(Program::Courier, self.aws);
        command.env("BACKFILL_DAYS", "3650").env("RETIRE_WITH_SOURCE", "true").env("QUEUE_URL", QUEUE);
        let mut process = Process::start(command).await?;
        let before = process.cpu()?;
        let (time, answer) = process.invoke(event).await?;
        let calls = self.aws.calls().values().sum();
        let (cpu, peak_memory) = (process.cpu()?.saturating_sub(before), process.peak_memory()?);
        process.end().await?;
        Ok((Sweep { images, sources_are_old, time, cpu, peak_memory, calls }, answer))
    }

    fn subject(&self, name: &str) -> Outcome<Subject> {
        self.peers.subjects().into_iter().find(|subject| subject.name == name).ok_or_else(|| name.into())
    }
}

impl Need {
    fn median(needs: &[Self]) -> Self {
        let of = |part: &dyn Fn(&Self) -> Duration| median(needs.iter().map(part).collect());
        let warm: Vec<&Warm> = needs.iter().filter_map(|need| need.warm.as_ref()).collect();
        let mut memory: Vec<f64> = needs.iter().map(|need| need.peak_memory).collect();
        memory.sort_by(f64::total_cmp);
        Self {
            name: needs[0].name,
            program: needs[0].program,
            init: of(&|need| need.init),
            first: of(&|need| need.first),
            cold: of(&|need| need.cold),
            cold_cpu: of(&|need| need.cold_cpu),
            warm: (!warm.is_empty()).then(|| Warm {
                answer: median(warm.iter().map(|warm| warm.answer).collect()),
                cpu_per_announcement: median(warm.iter().map(|warm| warm.cpu_per_announcement).collect()),
            }),
            peak_memory: memory[memory.len() / 2],
        }
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// A fast failure is no result.
pub(crate) fn check(answer: &Bytes) -> Outcome<()> {
    let value: Value = serde_json::from_slice(answer)?;
    let done = value["batchItemFailures"].as_array().is_some_and(Vec::is_empty)
        || ["Started", "Nothing"].iter().any(|outcome| value["Outcome"] == *outcome);
    if done { Ok(()) } else { Err(format!("not done: {value}").into()) }
}
