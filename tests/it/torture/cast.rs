//! Who appears in a round: source AMIs of every kind, what is announced of each and when, and what must become of it.

use std::time::Duration;

use fastrand::Rng;
use local::aws::{CopyFailure, Image, ImageState, START, Snapshot, World};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::setting::{Roles, Setting, TRUSTED};
use crate::stage::{HERE, THERE, state_change};

/// The other source Region.
const ALSO_THERE: &str = "us-west-2";
/// A Region that nothing is copied from.
const ELSEWHERE: &str = "ap-south-1";
/// An account that nobody trusts.
const STRANGER: &str = "000000000666";
/// People's tag, on a source or on a copy: no parameter may hold it.
const WITHDRAWN: &str = "ami-courier:withdrawn";
/// What EC2 says of an AMI that it never copies.
const PRODUCT: &str = "Images from AWS Marketplace cannot be copied to another AWS account";
/// How many copies may fail in an epoch before an operator has to look.
const TRIES: usize = 5;
/// An epoch of the copy protocol.
const EPOCH: u64 = 23 * 3600;
/// More than are ever tried in a round.
const ALWAYS: usize = 200;

/// One AMI, or one message about none, with its story and its end.
pub struct Case {
    pub what: &'static str,
    /// Region and id of the source AMI, where there is one.
    pub source: Option<(String, String)>,
    /// Another AMI of the same build, in the other source Region.
    pub sibling: Option<(String, String)>,
    pub name: String,
    pub role: &'static str,
    pub created: OffsetDateTime,
    pub story: Vec<(Duration, Act)>,
    pub end: End,
}

/// Something that happens in the world, at a time after its beginning.
pub enum Act {
    Announce(String),
    /// The source AMI is available at last.
    Complete,
    /// What happens to the source AMI.
    Deregister,
    Restore,
    Disable,
    Enable,
    /// It is built only now.
    Build(Box<Image>),
    /// The same, in another Region than the source AMI's.
    BuildIn(&'static str, Box<Image>),
    /// Something in this account refers to the copy from now on.
    UseCopy,
    /// Another account uses the copy, from now on or no longer.
    FriendUsesCopy,
    FriendStops,
    /// A user deregisters whatever copy there is.
    DeregisterCopy,
    /// The pending copy with this id that somebody else made is available at last.
    CompleteByHand(String),
    /// Or it is given up.
    GiveUpByHand(String),
    /// What people change of the source AMI; `None`: the tag is removed.
    TagSource(&'static str, Option<String>),
    Describe(String),
    RequireImdsV2,
    /// It is deprecated from so long after this moment.
    Deprecate(Duration),
    /// And of its copies.
    TagCopy(&'static str, Option<String>),
    /// Somebody writes its copy into a parameter.
    HoldByHand(String),
}

/// What must be so in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Exactly one copy, available and finished.
    Copied,
    /// The same, although the first copy failed: its failure may be a dead letter.
    CopiedAtLast,
    /// One copy. Where sweeps announce the AMI as well, it may have one copy of each order, request and announcement.
    Requested,
    /// The one copy that somebody has made by hand, as it was.
    CopiedByHand,
    /// No copy, and no dead letter.
    NotCopied,
    /// No copy, and all that was announced is in the dead-letter queue, with this code.
    Rejected(&'static str),
    /// No copy, for each one failed, and that is a dead letter.
    Failed,
    /// No copy any more.
    Retired,
    /// One copy, finished, although its source is gone: it is in use.
    InUse,
    /// One copy, disabled as its source is.
    Disabled,
    /// One copy, in step with its source; none, or one that is disabled, if the source is disabled.
    InStep,
}

/// Puts a case on stage: the AMI into the world, the rest into the case.
pub fn cast(number: u64, setting: &Setting, random: &mut Rng, world: &mut World) -> Case {
    let roll = random.u8(0..100);
    let part = Part::new(number, setting, random);
    match (setting.roles, roll) {
        (Roles::HeldAndMissed, _) if number <= 2 => return part.held(world),
        (Roles::HeldAndMissed, 0..50) => return part.missed_later(),
        (Roles::HeldAndMissed, 50..80) => return part.missed_and_refused(world),
        (Roles::OutOfService, 0..50) => return part.out_of_service(world),
        (Roles::Changing, 0..85) => return part.changing(world),
        (Roles::DeadCopies, 0..60) => return part.deregistered_by_hand(world),
        _ => {}
    }
    match roll {
        0..7 if setting.sweeps => part.missed(world),
        0..20 if setting.sweeps_once => part.missed(world),
        0..12 => part.wanted(world),
        12..17 => part.distributed(world),
        17..23 => part.deregistered_by_hand(world),
        23..30 => part.announced_for_a_day(world),
        30..32 => part.copied_by_hand(world),
        32..34 => part.copied_by_hand_for_hours(world),
        34..42 => part.requested(world),
        42..50 => part.tested_by_image_builder(world),
        50..52 => part.pending_at_first(world),
        52..54 => part.refused_at_first(world),
        54..59 => part.copied_at_last(world),
        59..68 if setting.trusts => part.shared_with_us(world),
        59..61 => part.failing(world),
        61..66 => part.name_taken(world),
        66..83 => part.unwanted(world),
        83..84 => part.failing(world),
        _ => part.rejected(world),
    }
}

struct Part<'a> {
    number: u64,
    setting: &'a Setting,
    random: &'a mut Rng,
    region: &'static str,
    id: String,
    name: String,
    role: &'static str,
    created: OffsetDateTime,
}

impl<'a> Part<'a> {
    fn new(number: u64, setting: &'a Setting, random: &'a mut Rng) -> Self {
        let region = if random.bool() { THERE } else { ALSO_THERE };
        // Not in the order of the announcements. Many an epoch ends in the first hours of a round, where most happens.
        let epochs = random.u64(0..300) * EPOCH;
        let since_epoch_began =
            EPOCH - *random.choice(&[3600, 3600, 4 * 3600, EPOCH]).expect("a choice") + random.u64(0..3600);
        let created = START - Duration::from_secs(epochs + since_epoch_began) - Duration::from_millis(number);
        Self {
            number,
            setting,
            region,
            id: format!("ami-{number:017x}"),
            name: format!("golden-{number}"),
            role: if random.bool() { "web" } else { "db" },
            created,
            random,
        }
    }

    fn image(&self) -> Image {
        Image::new(&self.id, &self.name)
            .created(self.created)
            .tag("team", "platform")
            .tag("role", self.role)
            .tag("release", "0")
    }

    fn case(self, what: &'static str, end: End, story: Vec<(Duration, Act)>) -> Case {
        let Self { region, id, name, role, created, .. } = self;
        Case { what, source: Some((region.to_owned(), id)), sibling: None, name, role, created, story, end }
    }

    /// Announcements come in bursts.
    fn soon(&mut self) -> Duration {
        Duration::from_secs(self.random.u64(0..4) * 900 + self.random.u64(0..4) * 120)
    }

    /// Announces by one to four messages of any kind.
    fn announced(&mut self, world: &mut World) -> Vec<(Duration, Act)> {
        (0..self.random.u8(1..=4)).map(|_| (self.soon(), Act::Announce(self.announcement(world)))).collect()
    }

    fn announcement(&mut self, world: &mut World) -> String {
        match self.random.u8(0..6) {
            0 | 1 => self.ec2_event(),
            2 => in_sns(&self.ec2_event()),
            3 => self.custom_event(),
            4 => self.packer_manifest(),
            _ => self.parameter_change(world),
        }
    }

    fn wanted(mut self, world: &mut World) -> Case {
        let snapshots = (0..self.random.u8(1..=3)).map(|n| Snapshot::new(format!("snap-{:016x}{n}", self.number)));
        let image = self.image().snapshots(snapshots);
        world.add_image(self.region, image);
        let story = self.announced(world);
        self.case("built", End::Copied, story)
    }

    /// It and its copy change at any time, from before the copy on.
    fn changing(mut self, world: &mut World) -> Case {
        let channel = self.channel();
        let image = self
            .image()
            .tag("Channel", &channel)
            .tag("release", "0")
            .snapshots((0..self.random.u8(1..=2)).map(|n| Snapshot::new(format!("snap-{:016x}{n}", self.number))));
        world.add_image(self.region, image);
        let mut story = if self.random.u8(0..4) == 0 { Vec::new() } else { self.announced(world) };
        // Of several AMIs at the same time, or nearly so.
        let mut times: Vec<u64> = (0..self.random.u8(3..=10))
            .map(|_| self.random.u64(0..4) * 4 * 3600 + self.random.u64(0..3) * 600 + self.random.u64(0..30))
            .collect();
        times.sort_unstable();
        let mut is_disabled = false;
        for at in times {
            let act = match self.random.u8(0..20) {
                0..5 => Act::TagSource("Channel", Some(self.channel())),
                5 => Act::TagSource("Channel", None),
                6..8 => Act::TagSource("late", Some(self.random.u8(0..3).to_string())),
                8..10 => Act::TagSource(WITHDRAWN, Some("bad kernel".to_owned())),
                10..12 => Act::TagSource(WITHDRAWN, None),
                12 => Act::TagCopy(WITHDRAWN, self.random.bool().then(String::new)),
                13 => Act::TagCopy("team", Some("by hand".to_owned())),
                14 if self.random.bool() => Act::Describe(format!("release {}", self.random.u8(..))),
                14 => Act::TagSource("release", Some(self.random.u8(..).to_string())),
                15 => Act::RequireImdsV2,
                16 => Act::Deprecate(Duration::from_secs(self.random.u64(1..100) * 24 * 3600)),
                17 => Act::HoldByHand(format!("/golden/{}", self.channel())),
                _ => {
                    is_disabled = !is_disabled;
                    if is_disabled { Act::Disable } else { Act::Enable }
                }
            };
            story.push((Duration::from_secs(at), act));
        }
        self.case("that goes on changing", End::InStep, story)
    }

    fn channel(&mut self) -> String {
        (*self.random.choice(&["beta", "beta", "prod"]).expect("a choice")).to_owned()
    }

    /// Its builder has put it into both source Regions. Messages about the two AMIs come hours apart: closer together, and both late, each
    /// may have a copy (`families` has that limit).
    fn distributed(mut self, world: &mut World) -> Case {
        let sibling_region = if self.region == THERE { ALSO_THERE } else { THERE };
        let sibling_id = format!("ami-c{:016x}", self.number);
        let origin = self.image();
        let mut sibling = self.image().copy_of(&self.id, self.region);
        sibling.id.clone_from(&sibling_id);
        let of_sibling = || state_change(sibling_region, &sibling_id, "available").to_string();
        let much_later = Duration::from_secs(16 * 3600 + self.random.u64(0..4 * 3600));
        let is_swept = self.setting.sweeps || self.setting.sweeps_once;
        world.add_image(self.region, origin);
        let mut story = self.announced(world);
        if !is_swept && self.random.bool() {
            // The origin's messages are late: the sibling is copied, and answers them.
            for (at, _) in &mut story {
                *at += much_later;
            }
            world.add_image(sibling_region, sibling);
            story.push((self.soon(), Act::Announce(of_sibling())));
        } else {
            // The builder's copy takes its time.
            let young = sibling.created(START + much_later);
            story.push((much_later, Act::BuildIn(sibling_region, Box::new(young))));
            let after = Duration::from_secs(self.random.u64(1..3600));
            story.push((much_later + after, Act::Announce(of_sibling())));
        }
        let sibling = Some((sibling_region.to_owned(), sibling_id));
        Case { sibling, ..self.case("that its builder has put into two Regions", End::Copied, story) }
    }

    /// Its first copies fail; and a day later, when EC2 forgets the first token, it is announced again and again.
    fn announced_for_a_day(mut self, world: &mut World) -> Case {
        world.add_image(self.region, self.image());
        for _ in 0..self.random.usize(1..=2) {
            world.fail_next_copy(&self.id, CopyFailure::key_not_accessible());
        }
        let mut story = vec![(self.soon(), Act::Announce(self.ec2_event()))];
        for _ in 0..6 {
            let later = Duration::from_secs(24 * 3600 - 1200 + self.random.u64(0..4800));
            story.push((later, Act::Announce(self.announcement(world))));
        }
        self.case("announced again a day later", End::CopiedAtLast, story)
    }

    /// A user deregisters the first copy, and the AMI is announced again: EC2 still remembers the token of the dead copy.
    fn deregistered_by_hand(mut self, world: &mut World) -> Case {
        world.add_image(self.region, self.image());
        let first = self.soon();
        let deregistered = first + Duration::from_secs(self.random.u64(1..1200));
        let again = deregistered + Duration::from_secs(1 + self.random.u64(0..600));
        let story = vec![
            (first, Act::Announce(self.ec2_event())),
            (deregistered, Act::DeregisterCopy),
            (again, Act::Announce(self.custom_event())),
        ];
        self.case("whose first copy a user deregisters", End::Copied, story)
    }

    /// Only a sweep can find it, on whatever page it is.
    fn missed(self, world: &mut World) -> Case {
        world.add_image(self.region, self.image());
        self.case("that nobody announces", End::Copied, Vec::new())
    }

    /// Each sweep finds it again, and announces it where there is room.
    fn missed_and_refused(self, world: &mut World) -> Case {
        world.add_image(self.region, self.image().copies_refused("InvalidRequest", PRODUCT, None));
        self.case("that EC2 never copies, and nobody announces", End::NotCopied, Vec::new())
    }

    /// It appears when sweeps have long had other things to announce.
    fn missed_later(mut self) -> Case {
        let at = Duration::from_secs(60 * 3600);
        self.created = START + at;
        let story = vec![(at, Act::Build(Box::new(self.image())))];
        self.case("built later, that nobody announces", End::Copied, story)
    }

    /// Under another name: only the look for copies stops a second one.
    fn copied_by_hand(mut self, world: &mut World) -> Case {
        world.add_image(self.region, self.image());
        let name = format!("by-hand-{}", self.number);
        world.add_image(HERE, Image::new(format!("ami-b{:016x}", self.number), name).copy_of(&self.id, self.region));
        let story = vec![(self.soon(), Act::Announce(self.ec2_event()))];
        self.case("copied by hand", End::CopiedByHand, story)
    }

    /// Longer than the courier's own messages look after a copy that somebody else makes.
    fn copied_by_hand_for_hours(mut self, world: &mut World) -> Case {
        world.add_image(self.region, self.image());
        let id = format!("ami-b{:016x}", self.number);
        let pending = Image::new(&id, format!("by-hand-{}", self.number)).copy_of(&self.id, self.region);
        world.add_image(HERE, pending.state(ImageState::Pending));
        let mut story = vec![(self.soon(), Act::Announce(self.ec2_event()))];
        let ends = Duration::from_secs(self.random.u64(3600..8 * 3600));
        if self.random.bool() {
            story.push((ends, Act::CompleteByHand(id)));
            return self.case("that somebody copies for hours", End::CopiedByHand, story);
        }
        story.push((ends, Act::GiveUpByHand(id)));
        self.case("that somebody copies for hours, in vain", End::CopiedAtLast, story)
    }

    /// EC2 has no code for a young AMI whose storage is not there yet.
    fn refused_at_first(mut self, world: &mut World) -> Case {
        let first = self.soon();
        let words = *self
            .random
            .choice(&[
                "The storage for the ami is not available in the source Region.",
                "Words that nobody has seen yet",
            ])
            .expect("a choice");
        let until = START + first + Duration::from_secs(self.random.u64(0..1500));
        world.add_image(self.region, self.image().copies_refused("InvalidRequest", words, Some(until)));
        let story = vec![(first, Act::Announce(self.ec2_event()))];
        self.case("refused at first", End::Copied, story)
    }

    fn requested(mut self, world: &mut World) -> Case {
        world.add_image(self.region, self.image());
        // All at one time: the same request, delivered again and again.
        let at = self.soon();
        let mut story = Vec::new();
        for _ in 0..self.random.u8(1..=4) {
            let mut tags = [json!({ "Key": "a", "Value": "1" }), json!({ "Key": "b", "Value": "2" })];
            self.random.shuffle(&mut tags);
            let specification = json!([{ "ResourceType": "image", "Tags": tags }]);
            let request = with(self.request(), "TagSpecifications", specification);
            let request = if self.random.bool() { request } else { in_custom_event(&request) };
            story.push((at, Act::Announce(request.to_string())));
        }
        let is_swept = self.setting.sweeps || self.setting.sweeps_once;
        let end = if is_swept { End::Requested } else { End::Copied };
        self.case("requested, with tags in any order", end, story)
    }

    /// EC2 tells first, and that is not enough; then Image Builder does.
    fn tested_by_image_builder(mut self, world: &mut World) -> Case {
        let arn = format!("arn:aws:imagebuilder:{}:123456789012:image/golden/1.0.0/{}", self.region, self.number);
        world.add_image(self.region, self.image().tag("Ec2ImageBuilderArn", &arn));
        let first = self.soon();
        let mut story = vec![(first, Act::Announce(self.ec2_event()))];
        if self.random.u8(0..4) == 0 {
            return self.case("not tested by Image Builder", End::NotCopied, story);
        }
        let tested = if self.random.bool() {
            self.image_builder_event(&arn)
        } else {
            in_sns(&self.image_builder_notification(&arn))
        };
        story.push((first + self.soon(), Act::Announce(tested)));
        self.case("tested by Image Builder", End::Copied, story)
    }

    fn pending_at_first(mut self, world: &mut World) -> Case {
        world.add_image(self.region, self.image().state(ImageState::Pending));
        let mut story = vec![(Duration::ZERO, Act::Announce(self.custom_event()))];
        story.push((self.soon(), Act::Complete));
        self.case("announced while it was pending", End::Copied, story)
    }

    fn copied_at_last(mut self, world: &mut World) -> Case {
        world.add_image(self.region, self.image());
        for _ in 0..*self.random.choice(&[1, 1, 2, TRIES - 1]).expect("a choice") {
            world.fail_next_copy(&self.id, CopyFailure::key_not_accessible());
        }
        let story = vec![(self.soon(), Act::Announce(self.ec2_event()))];
        self.case("whose first copies fail", End::CopiedAtLast, story)
    }

    fn failing(mut self, world: &mut World) -> Case {
        world.add_image(self.region, self.image());
        for _ in 0..ALWAYS {
            world
                .fail_next_copy(&self.id, CopyFailure::new("Server.InternalError", "Internal error", "Internal error"));
        }
        let story = vec![(self.soon(), Act::Announce(self.ec2_event()))];
        self.case("whose copies fail", End::Failed, story)
    }

    /// The source is deregistered, disabled, restored or enabled, long after it was copied.
    fn out_of_service(self, world: &mut World) -> Case {
        let (what, end, acts) = match self.random.u8(0..8) {
            0 | 1 => ("deregistered", End::Retired, vec![Act::Deregister]),
            2 => ("deregistered and restored", End::Copied, vec![Act::Deregister, Act::Restore]),
            3 => return self.held(world),
            4 => ("disabled", End::Disabled, vec![Act::Disable]),
            5 if self.setting.shares => (
                "deregistered while another account uses its copy",
                End::InUse,
                vec![Act::FriendUsesCopy, Act::Deregister],
            ),
            6 if self.setting.shares => (
                "deregistered while another account uses its copy for a while",
                End::Retired,
                vec![Act::FriendUsesCopy, Act::Deregister, Act::FriendStops],
            ),
            _ => ("disabled and enabled", End::Copied, vec![Act::Disable, Act::Enable]),
        };
        world.add_image(self.region, self.image());
        self.followed(what, end, acts)
    }

    /// The source is gone, and the copy is in use.
    fn held(self, world: &mut World) -> Case {
        world.add_image(self.region, self.image());
        self.followed("deregistered while its copy is in use", End::InUse, vec![Act::UseCopy, Act::Deregister])
    }

    /// Long after the copy is finished, one thing after the other happens.
    fn followed(mut self, what: &'static str, end: End, acts: Vec<Act>) -> Case {
        let mut story = vec![(self.soon(), Act::Announce(self.ec2_event()))];
        let mut at = 16 * 3600;
        for act in acts {
            story.push((Duration::from_secs(at), act));
            at += 600 + self.random.u64(0..20 * 3600);
        }
        self.case(what, end, story)
    }

    fn shared_with_us(mut self, world: &mut World) -> Case {
        let image = self.image().owner(TRUSTED);
        let shared = self.random.bool();
        let image = if shared { image.shared_with(local::aws::ACCOUNT) } else { image.public() };
        world.add_image(self.region, image);
        let story = vec![(self.soon(), Act::Announce(self.ec2_event()))];
        let end = if shared { End::Copied } else { End::Rejected("InvalidRequest") };
        self.case(if shared { "of a trusted account" } else { "shared without its snapshots" }, end, story)
    }

    fn name_taken(mut self, world: &mut World) -> Case {
        world.add_image(self.region, self.image());
        let name = self.setting.copy_name(&self.name, self.region);
        world.add_image(HERE, Image::new(format!("ami-f{:016x}", self.number), name));
        let story = vec![(self.soon(), Act::Announce(self.ec2_event()))];
        let end = if world.behaviour.copy_image_refuses_taken_names {
            End::Rejected("InvalidAMIName.Duplicate")
        } else {
            End::Copied
        };
        self.case("whose name is taken", end, story)
    }

    fn unwanted(mut self, world: &mut World) -> Case {
        let story = vec![(self.soon(), Act::Announce(self.ec2_event()))];
        let (what, image) = match self.random.u8(0..8) {
            0 => {
                self.name = format!("test-{}", self.number);
                ("of another name", self.image())
            }
            1 => ("of a stranger", self.image().owner(STRANGER).public()),
            2 => ("that is to be skipped", self.image().tag("ami-courier:skip", "")),
            3 => ("that is a copy", self.image().tag("ami-courier:source-image", "ami-0123456789abcdef0")),
            4 => ("that is disabled", self.image().state(ImageState::Disabled)),
            5 => ("that failed", self.image().state(ImageState::Failed)),
            6 => {
                let mut event = state_change(self.region, &self.id, "available");
                event["account"] = TRUSTED.into();
                let story = vec![(self.soon(), Act::Announce(event.to_string()))];
                world.add_image(self.region, self.image().owner(TRUSTED));
                return self.case("of another account, never shared", End::NotCopied, story);
            }
            _ => {
                self.region = ELSEWHERE;
                ("of another Region", self.image())
            }
        };
        world.add_image(self.region, image);
        let story = if self.region == ELSEWHERE { vec![(self.soon(), Act::Announce(self.ec2_event()))] } else { story };
        self.case(what, End::NotCopied, story)
    }

    fn rejected(mut self, world: &mut World) -> Case {
        const DENIED: &str = "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/r/f is not \
                              authorized to perform: ec2:CopyImage with an explicit deny in a service control policy";
        let (what, body, code) = match self.random.u8(0..25) {
            0..4 => ("that is no JSON", format!("golden {} is ready", self.number), "NotUnderstood"),
            4..8 => {
                let request = with(self.request(), "Nmae", json!("golden"));
                ("a request with a wrong field", request.to_string(), "UnknownParameter")
            }
            8..12 => {
                let request = with(self.request(), "Name", json!(format!("golden:{}", self.number)));
                ("a request with a wrong name", request.to_string(), "InvalidAMIName.Malformed")
            }
            12..16 => {
                world.add_image(self.region, self.image().owner(STRANGER).public());
                ("a request for a stranger's AMI", self.request().to_string(), "SourceNotAllowed")
            }
            16..20 => {
                self.region = ELSEWHERE;
                world.add_image(self.region, self.image());
                ("a request from another Region", self.request().to_string(), "SourceNotAllowed")
            }
            // Each sweep announces it again, where there is room.
            20..22 => {
                world.add_image(self.region, self.image().copies_refused("InvalidRequest", PRODUCT, None));
                ("an AMI that EC2 never copies", self.ec2_event(), "InvalidRequest")
            }
            22..24 => {
                world.add_image(self.region, self.image().copies_refused("UnauthorizedOperation", DENIED, None));
                ("an AMI that a policy keeps", self.ec2_event(), "UnauthorizedOperation")
            }
            _ => ("an AMI that is not there", self.ec2_event(), "InvalidAMIID.NotFound"),
        };
        let story = vec![(self.soon(), Act::Announce(body))];
        self.case(what, End::Rejected(code), story)
    }

    fn ec2_event(&self) -> String {
        state_change(self.region, &self.id, "available").to_string()
    }

    fn request(&self) -> Value {
        let name = self.setting.copy_name(&self.name, self.region);
        json!({ "Name": name, "SourceImageId": self.id, "SourceRegion": self.region })
    }

    fn custom_event(&self) -> String {
        json!({
            "version": "0", "id": "1", "detail-type": "AMI released", "source": "com.example.pipeline", "account": "123456789012",
            "time": "2026-01-01T00:00:00Z", "region": self.region, "detail": { "release": self.number },
            "resources": [format!("arn:aws:ec2:{}::image/{}", self.region, self.id)],
        })
        .to_string()
    }

    fn packer_manifest(&self) -> String {
        let artifact = format!("{}:{}", self.region, self.id);
        json!({
            "builds": [
                { "name": "golden", "builder_type": "amazon-ebs", "artifact_id": artifact, "packer_run_uuid": "run-2" },
                { "name": "old", "builder_type": "amazon-ebs", "artifact_id": "us-east-1:ami-01111111111111111", "packer_run_uuid": "run-1" },
            ],
            "last_run_uuid": "run-2",
        })
        .to_string()
    }

    fn parameter_change(&self, world: &mut World) -> String {
        let name = format!("/built/{}", self.number);
        world.set_parameter(self.region, &name, &self.id, "aws:ec2:image");
        json!({
            "version": "0", "id": "1", "detail-type": "Parameter Store Change", "source": "aws.ssm", "account": "123456789012",
            "time": "2026-01-01T00:00:00Z", "region": self.region,
            "resources": [format!("arn:aws:ssm:{}:123456789012:parameter{name}", self.region)],
            "detail": { "name": name, "type": "String", "dataType": "aws:ec2:image", "operation": "Update" },
        })
        .to_string()
    }

    fn image_builder_event(&self, arn: &str) -> String {
        json!({
            "version": "0", "id": "1", "detail-type": "EC2 Image Builder Image State Change", "source": "aws.imagebuilder",
            "account": "123456789012", "time": "2026-01-01T00:00:00Z", "region": self.region, "resources": [arn],
            "detail": { "previous-state": { "status": "TESTING" }, "state": { "status": "AVAILABLE" } },
        })
        .to_string()
    }

    fn image_builder_notification(&self, arn: &str) -> String {
        json!({
            "versionlessArn": "arn:aws:imagebuilder:us-east-1:123456789012:image/golden", "arn": arn, "type": "AMI",
            "state": { "status": "AVAILABLE" },
            "outputResources": { "amis": [{ "region": self.region, "image": self.id, "name": self.name, "accountId": "123456789012" }] },
        })
        .to_string()
    }
}

fn with(mut document: Value, field: &str, value: Value) -> Value {
    document[field] = value;
    document
}

fn in_sns(message: &str) -> String {
    json!({
        "Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:us-east-1:123456789012:golden-images",
        "Message": message, "Timestamp": "2026-01-01T00:00:00.000Z",
    })
    .to_string()
}

fn in_custom_event(detail: &Value) -> Value {
    json!({
        "version": "0", "id": "1", "detail-type": "AMI Copy Request", "source": "com.example.pipeline", "account": "123456789012",
        "time": "2026-01-01T00:00:00Z", "region": HERE, "resources": [], "detail": detail,
    })
}
