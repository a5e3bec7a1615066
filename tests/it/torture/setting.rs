//! The stacks that are tortured: each has other options, other weak points and another world around it. What AWS leaves open
//! is drawn for each round, the weakest most often.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use courier_core::settings::Settings;
use fastrand::Rng;
use local::aws::{
    ApiError, Aws, Behaviour, Chaos, Effect, HiddenAs, Key, Queue, SnapshotIdsAt, TokenOfDeadImage, World,
};
use local::host::{Function, Host};

use super::DAY;
use crate::poller::Habits;
use crate::stage::HERE;

/// An account that shares AMIs with ours.
pub const TRUSTED: &str = "999988887777";
/// An account that copies are shared with.
pub const FRIEND: &str = "111122223333";

const BOTH_FRIENDS: &str = "111122223333,444455556666";

/// A stack's settings, as far as the outcome depends on them.
#[derive(Debug)]
pub struct Setting {
    variables: &'static [(&'static str, &'static str)],
    copy_name: &'static str,
    pub sweeps: bool,
    pub lost_events: f64,
    /// `RETIRE_WITH_SOURCE`
    pub retires: bool,
    /// `SOURCE_OWNERS` names [`TRUSTED`].
    pub trusts: bool,
    /// `SHARE_WITH` names [`FRIEND`].
    pub shares: bool,
    /// `PARAMETER_NAME` is `/golden/{tag:role}`.
    pub publishes: bool,
    /// `EVENT_BUS_NAME` is not empty.
    pub tells: bool,
    pub encrypts: bool,
    /// Other settings of every second execution: a deployment is under way, and two parameter sets are in use. In the end it has
    /// succeeded or was rolled back, as the seed says.
    pub deploying: &'static [(&'static str, &'static str)],
    /// One sweep, ever: what it finds it must announce.
    pub sweeps_once: bool,
    /// The share of messages to its own queue that SQS does not take. With it, no other call fails.
    lost_sends: Option<f64>,
    /// Room for so many messages of a sweep: the courier's queue seems to be nearly full.
    pub room: Option<usize>,
    pub roles: Roles,
}

/// Who appears in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roles {
    All,
    /// Mostly AMIs that are deregistered or disabled once they are copied.
    OutOfService,
    /// Mostly AMIs whose first copies are dead when they are announced again.
    DeadCopies,
    /// First AMIs whose copies must be kept although they are gone themselves, then AMIs of which nobody tells.
    HeldAndMissed,
    /// Mostly AMIs that go on changing, as do their copies.
    Changing,
}

const PLAIN: Setting = Setting {
    variables: &[],
    copy_name: "{name}",
    sweeps: true,
    lost_events: 0.5,
    retires: false,
    trusts: false,
    shares: false,
    publishes: false,
    tells: true,
    encrypts: false,
    deploying: &[],
    sweeps_once: false,
    lost_sends: None,
    room: None,
    roles: Roles::All,
};

pub static SETTINGS: [Setting; 10] = [
    // Everything is on.
    Setting {
        variables: &[
            ("SHARE_WITH", FRIEND),
            ("PARAMETER_NAME", "/golden/{tag:role}"),
            ("DEREGISTRATION_PROTECTION", "On"),
            ("DEPRECATE", "30"),
        ],
        lost_events: 0.3,
        shares: true,
        publishes: true,
        ..PLAIN
    },
    // No sweep: what is announced must do.
    Setting {
        variables: &[("KMS_KEY_ID", "alias/golden"), ("SHARE_WITH", FRIEND), ("REQUIRED_TAGS", "team")],
        sweeps: false,
        lost_events: 0.0,
        shares: true,
        encrypts: true,
        ..PLAIN
    },
    // Copies follow their sources; sources come from two accounts, and a third one uses the copies.
    Setting {
        variables: &[
            ("RETIRE_WITH_SOURCE", "true"),
            ("RETIRE_AFTER_DAYS", "1"),
            ("SOURCE_OWNERS", "self,999988887777"),
            ("KMS_KEY_ID", "alias/golden"),
            ("SHARE_WITH", FRIEND),
        ],
        copy_name: "{name}-{region}",
        retires: true,
        trusts: true,
        shares: true,
        encrypts: true,
        roles: Roles::OutOfService,
        ..PLAIN
    },
    // As little as possible: no events of the courier, and nearly no event arrives.
    Setting {
        variables: &[("EVENT_BUS_NAME", ""), ("COPY_TAGS", "false")],
        copy_name: "{image_id}",
        lost_events: 0.9,
        tells: false,
        ..PLAIN
    },
    // Two parameter sets at the same time.
    Setting {
        variables: &[("EXTRA_TAGS", "team=platform")],
        deploying: &[("EXTRA_TAGS", "team=security"), ("COPY_DESCRIPTION", "by {account}")],
        ..PLAIN
    },
    // One sweep, while sending to the queue fails.
    Setting {
        variables: &[("EVENT_BUS_NAME", "")],
        sweeps: false,
        lost_events: 0.0,
        tells: false,
        sweeps_once: true,
        lost_sends: Some(0.3),
        ..PLAIN
    },
    // No sweep, and many a second look cannot be sent.
    Setting {
        variables: &[("EVENT_BUS_NAME", "")],
        sweeps: false,
        lost_events: 0.0,
        tells: false,
        lost_sends: Some(0.5),
        roles: Roles::DeadCopies,
        ..PLAIN
    },
    // Sweeps find more than there is room for.
    Setting {
        variables: &[("RETIRE_WITH_SOURCE", "true"), ("RETIRE_AFTER_DAYS", "1")],
        retires: true,
        room: Some(2),
        roles: Roles::HeldAndMissed,
        ..PLAIN
    },
    // Copies follow their sources and the settings, and each channel's parameter holds the newest of its members.
    Setting {
        variables: &[
            ("PARAMETER_NAME", "/golden/{tag:Channel}"),
            ("SHARE_WITH", FRIEND),
            ("EXTRA_TAGS", "cost=1"),
            ("DEPRECATE", "Source"),
        ],
        deploying: &[("SHARE_WITH", BOTH_FRIENDS), ("EXTRA_TAGS", "cost=2,late=extra"), ("DEPRECATE", "30")],
        shares: true,
        roles: Roles::Changing,
        ..PLAIN
    },
    // The same, out of service and back as well.
    Setting {
        variables: &[
            ("PARAMETER_NAME", "/golden/{tag:Channel}"),
            ("RETIRE_WITH_SOURCE", "true"),
            ("EVENT_BUS_NAME", ""),
            ("COPY_DESCRIPTION", "{name}, release {tag:release}"),
        ],
        deploying: &[("PARAMETER_NAME", "/images/{tag:Channel}"), ("RETIRE_WITH_SOURCE", "false")],
        lost_events: 0.7,
        tells: false,
        roles: Roles::Changing,
        ..PLAIN
    },
];

pub const QUEUE: &str = "http://sqs.eu-west-1.localhost/123456789012/announcements";
pub const DEAD_LETTERS: &str = "http://sqs.eu-west-1.localhost/123456789012/dead-letters";

impl Setting {
    /// The name of the copy of an AMI whose id `id_of` made from its number: names are `golden-NUMBER`.
    pub fn copy_name(&self, name: &str, region: &str) -> String {
        let number: u64 = name.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or_default();
        self.copy_name
            .replace("{name}", name)
            .replace("{region}", region)
            .replace("{image_id}", &format!("ami-{number:017x}"))
    }

    /// The function with these settings, as often as it is to run at the same time. `attempts`: how often it makes a call
    /// before it takes it for failed.
    pub async fn start(&self, aws: &Aws, executions: usize, attempts: u8) -> Vec<Arc<Host>> {
        let mut hosts = Vec::new();
        for number in 0..executions {
            let function = Function::new(env!("CARGO_BIN_EXE_ami-courier"), HERE)
                .endpoint_url(&aws.endpoint())
                .timeout(Duration::from_secs(30))
                .set("AWS_MAX_ATTEMPTS", attempts.to_string())
                // To read the machine's root certificates takes a debug build longer than all else at its start; here is no TLS.
                .set("SSL_CERT_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/torture/root.pem"));
            let variables = self.variables_of(number % 2 == 1);
            let function = variables.into_iter().fold(function, |function, (name, value)| function.set(name, value));
            hosts.push(Arc::new(function.start().await.expect("the function starts with these settings")));
        }
        hosts
    }

    /// As the function reads them, before the deployment or after it.
    pub fn settings(&self, is_deployed: bool) -> Settings {
        let variables = BTreeMap::from_iter(self.variables_of(is_deployed));
        let settings = Settings::read(|name| match name {
            "AWS_REGION" => Some(HERE.to_owned()),
            name => variables.get(name).cloned(),
        });
        settings.expect("the function starts with these settings")
    }

    /// Of two with the same name, the later one counts.
    fn variables_of(&self, is_deployed: bool) -> Vec<(&'static str, String)> {
        let of_all = [
            ("QUEUE_URL", QUEUE),
            ("DEAD_LETTER_QUEUE_URL", DEAD_LETTERS),
            ("SOURCE_REGIONS", "us-east-1,us-west-2"),
            ("NAME_PATTERNS", "golden-*"),
            ("COPY_NAME", self.copy_name),
            ("BACKFILL_DAYS", "3650"),
            ("SWEEPS", if self.sweeps { "true" } else { "false" }),
        ];
        let deploying = if is_deployed { self.deploying } else { &[] };
        let variables = of_all.iter().chain(self.variables).chain(deploying);
        variables.map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    /// A fresh world: the stack's queues and keys, and what AWS leaves open chosen at random.
    pub fn world(&self, random: &mut Rng) -> World {
        let mut world = World::default();
        let dead_letters = world.add_queue(HERE, "dead-letters", Queue::default());
        world.add_queue(
            HERE,
            "announcements",
            Queue {
                visibility_timeout: Duration::from_secs(360),
                max_receive_count: Some(200),
                dead_letter_queue: Some(dead_letters),
            },
        );
        world.add_key(HERE, Key::new("0d9ba5b5-0c2f-4f6c-9f4f-2f0a7b1c9d3e").alias("golden"));
        world.behaviour = weak_behaviour(random);
        if self.roles == Roles::Changing {
            world.behaviour.hide_changes_for(world.behaviour.invisible_by_id_for);
            world.behaviour.changes_invisible_by_filter_for = world.behaviour.invisible_by_filter_for;
            world.behaviour.tag_events = random.u32(0..=2);
        }
        // The courier's bound is 1,000.
        world.behaviour.messages_counted_too_many = self.room.map_or(0, |room| 1000 - room);
        // Time runs on while the function works, or stands still. Its 30 seconds are 300 here: less than the queue's visibility timeout,
        // as in the template. A message that comes back while the function works would spend its deliveries.
        let rate = *random.choice(&[0.0, 10.0]).expect("a choice");
        world.set_rate(rate);
        world
    }

    pub fn habits(&self, random: &mut Rng) -> Habits {
        Habits {
            hears_changes: self.roles == Roles::Changing,
            lost_events: self.lost_events,
            delivered_twice: random.f64() * 0.2,
            lost_deletions: random.f64() * 0.1,
            kills: *random.choice(&[0.0, 0.02, 0.1]).expect("a choice"),
            kills_at_hang: 0.99,
            sweep_every: self.sweeps.then_some(Duration::from_secs(3600)),
            batch_size: *random.choice(&[1, 3, 10, 10]).expect("a choice"),
            ..Habits::default()
        }
    }
}

/// What AWS leaves open. Half of the rounds have the weakest EC2 in everything that the protocol rests on.
fn weak_behaviour(random: &mut Rng) -> Behaviour {
    const QUARTER_OF_AN_HOUR: u64 = 15 * 60;
    let seconds =
        |random: &mut Rng, choices: &[u64]| Duration::from_secs(random.choice(choices).copied().unwrap_or_default());
    let hidden_as = |random: &mut Rng| {
        *random.choice(&[HiddenAs::NotFound, HiddenAs::Empty, HiddenAs::Unavailable]).expect("a choice")
    };
    let is_weakest = random.bool();
    let invisible_for = |random: &mut Rng| {
        if is_weakest {
            Duration::from_secs(QUARTER_OF_AN_HOUR)
        } else {
            seconds(random, &[0, 20, 90, QUARTER_OF_AN_HOUR])
        }
    };
    Behaviour {
        copy_duration: Duration::from_secs(random.u64(100..3600)),
        copies_in_progress_limit: *random.choice(&[2, 3, 300, 300, 300]).expect("a choice"),
        copy_image_refuses_taken_names: !is_weakest && random.u8(0..4) == 0,
        invisible_by_id_for: invisible_for(random),
        invisible_by_filter_for: invisible_for(random),
        flicker_seed: random.bool().then(|| random.u64(..)),
        invisible_as: hidden_as(random),
        tokens_remembered_for: (is_weakest || random.bool()).then_some(DAY),
        token_of_dead_image: if random.bool() { TokenOfDeadImage::ImageId } else { TokenOfDeadImage::Error },
        deregistered_returned_for: seconds(random, &[0, 0, 60]),
        deregistered_empty_for: seconds(random, &[0, 0, 60, 3600]),
        forgotten_as: hidden_as(random),
        name_lingers_for: seconds(random, &[0, 0, 60]),
        snapshot_ids_at: if random.bool() { SnapshotIdsAt::Start } else { SnapshotIdsAt::End },
        invisible_hold_names: random.bool(),
        page_size: *random.choice(&[1, 2, 1000]).expect("a choice"),
        ..Behaviour::default()
    }
}

/// Throttles, 5xx and resets, before and after the effect, and now and then no answer at all. A sweep gives up after some
/// deliveries: where there is only one, it must not fail for anything but its sends.
pub fn chaos(setting: &Setting, seed: u64, rate: f64) -> Chaos {
    let internal_error = || ApiError::new(500, "InternalError", "An internal error has occurred");
    let never = Duration::from_secs(3600);
    Chaos {
        kinds: vec![
            (40, Effect::Throttle),
            (20, Effect::Error(internal_error())),
            (10, Effect::ErrorAfterEffect(internal_error())),
            (10, Effect::DropConnection),
            (20, Effect::DropAfterEffect),
            (1, Effect::Slow(never)),
            (1, Effect::SlowAfterEffect(never)),
        ],
        actions: if setting.lost_sends.is_some() { vec!["SendMessageBatch".to_owned()] } else { Vec::new() },
        ..Chaos::new(seed, setting.lost_sends.unwrap_or(rate))
    }
}
