//! An AMI as EC2 describes it.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use crate::identity::{AccountId, Identity, ImageId, Region};
use crate::protocol::Try;

/// The tags in which the courier keeps its memory. <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>
pub mod tag {
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    /// On a copy: the id of its source AMI. An announcement of an AMI that has this tag never leads to a copy.
    pub const SOURCE_IMAGE: &str = "ami-courier:source-image";
    /// On a copy: the Region of its source AMI.
    pub const SOURCE_REGION: &str = "ami-courier:source-region";
    /// On a copy: the account that owns its source AMI. An account can know only of its own AMIs that they were deregistered.
    pub const SOURCE_OWNER: &str = "ami-courier:source-owner";
    /// On a copy: which try made it. The very first try for an announcement has no such tag. See [`super::MadeFor`].
    pub const TRY: &str = "ami-courier:try";
    /// On a copy: when all finishing steps were done, and with which setting it was shared then. See [`crate::in_step::Finished`].
    pub const FINISHED: &str = "ami-courier:finished";
    /// On a copy: whose it is, by the name of the stack. Only that stack keeps it in step. See [`crate::in_step`].
    pub const STACK: &str = "ami-courier:stack";
    /// On a copy: when its source AMI was created. The newest member of a parameter's name is the newest by this time.
    pub const SOURCE_CREATED: &str = "ami-courier:source-created";
    /// On a copy: the name of the parameter that may hold it. See [`crate::election`].
    pub const PARAMETER: &str = "ami-courier:parameter";
    /// People's, on a source AMI or on a copy: no parameter may hold the copies, or this copy. The courier never writes it.
    pub const WITHDRAWN: &str = "ami-courier:withdrawn";
    /// The courier's, on a copy: since when no parameter may hold it, because its source is withdrawn or out of service. People's
    /// [`WITHDRAWN`] is another key, since EC2's tags have no conditional write: each key has one writer.
    pub const WITHDRAWN_SOURCE: &str = "ami-courier:withdrawn-source";
    /// On a copy: when its source AMI was first found to be gone. See [`crate::retirement`].
    pub const SOURCE_GONE_SINCE: &str = "ami-courier:source-gone-since";
    /// On a copy: when the courier disabled it, because its source AMI is disabled.
    pub const DISABLED_WITH_SOURCE: &str = "ami-courier:disabled-with-source";
    /// On an image usage report: the copy that the courier ordered it for.
    pub const USAGE_REPORT: &str = "ami-courier:usage-report";
    /// On a source AMI: never copy it.
    pub const SKIP: &str = "ami-courier:skip";
    /// The prefix of shared tags: every account that an image is shared with sees these. Other resources than images refuse them.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>
    pub const SHARED: &str = "ec2:SharedTag/";
    /// On a shared copy: where it was first. See [`crate::origin`].
    pub const ORIGIN: &str = "ec2:SharedTag/ami-courier:origin";
    /// On a copy of a sibling: the origin of its build. See [`crate::family`].
    pub const FAMILY: &str = "ami-courier:origin";
    /// The prefix of the courier's own tags. Tags with this prefix are never carried from a source to its copy.
    pub const PREFIX: &str = "ami-courier:";

    /// Whether only the courier may set this tag, shared or not.
    pub fn is_couriers(key: &str) -> bool {
        key.strip_prefix(SHARED).unwrap_or(key).starts_with(PREFIX)
    }

    /// A time as the courier writes it into a tag: RFC 3339, in whole seconds.
    pub fn time(at: OffsetDateTime) -> String {
        // Any time of this era can be formatted.
        at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
    }

    /// A time from a tag. `None` for a value that the courier does not write.
    pub fn read_time(value: &str) -> Option<OffsetDateTime> {
        OffsetDateTime::parse(value, &Rfc3339).ok()
    }

    /// On each AMI that EC2 Image Builder made: the ARN of its image.
    pub const IMAGE_BUILDER: &str = "Ec2ImageBuilderArn";
}

/// An AMI.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    pub id: ImageId,
    pub name: String,
    pub description: Option<String>,
    pub owner: Option<AccountId>,
    pub state: State,
    /// EC2's reason for a failure.
    pub state_reason: Option<String>,
    pub created: Option<OffsetDateTime>,
    pub deprecated_from: Option<OffsetDateTime>,
    pub last_launched: Option<OffsetDateTime>,
    pub protected: bool,
    /// Its instances need IMDSv2: `ImdsSupport` is `v2.0`.
    pub requires_imds_v2: bool,
    pub is_public: bool,
    pub tags: BTreeMap<String, String>,
    /// Whether its root volume is in Amazon S3 (an instance store-backed AMI), not on EBS.
    pub s3_backed: bool,
    pub volumes: Vec<Volume>,
    /// The AMI that this one was copied from, as EC2 records it. `None` for an AMI that was made from an instance: EC2 then records
    /// the AMI that the instance was launched from.
    pub source: Option<Identity>,
    /// What the owner attests, as `account:name`. Copies have the watermarks of their source, and everyone sees them.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImageWatermark.html>
    pub watermarks: BTreeSet<String>,
}

/// One EBS volume of an AMI, and the snapshot it is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// `None` for a blank volume; may be `None` until a copy is available.
    pub snapshot: Option<String>,
    pub encrypted: Option<bool>,
    pub size_gib: i64,
}

/// The state of an AMI. <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Image.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Pending,
    Available,
    Disabled,
    Failed,
    Deregistered,
}

impl State {
    /// From EC2's name of the state. `invalid` and `error` count as failed; `transient` and unknown names count as pending.
    pub fn from_ec2(name: &str) -> Self {
        match name {
            "available" => Self::Available,
            "disabled" => Self::Disabled,
            "deregistered" => Self::Deregistered,
            "failed" | "invalid" | "error" => Self::Failed,
            _ => Self::Pending,
        }
    }

    /// Whether a copy in this state makes another copy unnecessary.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Available | Self::Disabled)
    }
}

/// What a copy was made for, as in its tag `ami-courier:try`: `0.1`, or `request 0.1 unselected`.
///
/// A request and an announcement of the same AMI are two orders, each with tries of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeFor {
    Announcement(Try),
    Request(Try, Terms),
}

/// What holds for the copy of a request as long as it lives, whatever becomes of its source and the settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The selection did not allow its source, when the copy was made. It is never shared nor published.
    pub unselected: bool,
    /// It is in a Local Zone or on an Outpost: never published, since nobody can launch it elsewhere.
    pub in_zone: bool,
}

impl Terms {
    const UNSELECTED: &str = " unselected";
    const IN_ZONE: &str = " zone";
}

impl MadeFor {
    /// The value of the tag. `None` for the very first try of an announcement, which has no tag.
    pub fn tag(self) -> Option<String> {
        match self {
            Self::Announcement(Try::FIRST) => None,
            Self::Announcement(at) => Some(at.to_string()),
            Self::Request(at, Terms { unselected, in_zone }) => {
                let unselected = if unselected { Terms::UNSELECTED } else { "" };
                let in_zone = if in_zone { Terms::IN_ZONE } else { "" };
                Some(format!("request {at}{unselected}{in_zone}"))
            }
        }
    }

    /// `None` for a value that the courier does not write.
    fn from_tag(value: Option<&String>) -> Option<Self> {
        let Some(value) = value else { return Some(Self::Announcement(Try::FIRST)) };
        let Some(request) = value.strip_prefix("request ") else { return value.parse().ok().map(Self::Announcement) };
        let (request, in_zone) = stripped(request, Terms::IN_ZONE);
        let (at, unselected) = stripped(request, Terms::UNSELECTED);
        at.parse().ok().map(|at| Self::Request(at, Terms { unselected, in_zone }))
    }
}

fn stripped<'a>(text: &'a str, suffix: &str) -> (&'a str, bool) {
    text.strip_suffix(suffix).map_or((text, false), |rest| (rest, true))
}

impl Image {
    /// A pending AMI with nothing but an id.
    pub fn new(id: ImageId) -> Self {
        Self {
            id,
            name: String::new(),
            description: None,
            owner: None,
            state: State::Pending,
            state_reason: None,
            created: None,
            deprecated_from: None,
            last_launched: None,
            protected: false,
            requires_imds_v2: false,
            is_public: false,
            tags: BTreeMap::new(),
            s3_backed: false,
            volumes: Vec::new(),
            source: None,
            watermarks: BTreeSet::new(),
        }
    }

    /// The value of its tag `key`, or of the shared tag `ec2:SharedTag/key`: of another account's AMI, only that is visible.
    pub fn tag(&self, key: &str) -> Option<&str> {
        let shared = || self.tags.get(&format!("{}{key}", tag::SHARED));
        self.tags.get(key).or_else(shared).map(String::as_str)
    }

    /// The source AMI, if the courier made this copy: its tags name the source. A copy of this copy may carry the same tags,
    /// but EC2 records another source for it.
    pub fn courier_source(&self) -> Option<Identity> {
        let image = self.tags.get(tag::SOURCE_IMAGE)?.parse().ok()?;
        let region = self.tags.get(tag::SOURCE_REGION)?.parse().ok()?;
        let tagged = Identity { region, image };
        self.source.as_ref().is_none_or(|source| *source == tagged).then_some(tagged)
    }

    /// Whether its tag says that this stack looks after it.
    pub fn is_of_stack(&self, stack: &str) -> bool {
        self.tags.get(tag::STACK).is_some_and(|of| of == stack)
    }

    /// The other stack that looks after it, if one does.
    pub fn other_stack(&self, stack: &str) -> Option<&str> {
        self.tags.get(tag::STACK).map(String::as_str).filter(|of| *of != stack)
    }

    /// Whether this AMI is a copy of `source`, by what EC2 records or by the courier's tags.
    pub fn is_copy_of(&self, source: &Identity) -> bool {
        self.source.as_ref() == Some(source) || self.courier_source().as_ref() == Some(source)
    }

    /// What the courier made this copy for. `None` if somebody changed the tag.
    pub fn made_for(&self) -> Option<MadeFor> {
        MadeFor::from_tag(self.tags.get(tag::TRY))
    }

    /// When the source of this copy was first found to be gone. `None` also for a value that the courier does not write.
    pub fn source_gone_since(&self) -> Option<OffsetDateTime> {
        tag::read_time(self.tags.get(tag::SOURCE_GONE_SINCE)?)
    }

    /// Whether the courier disabled this copy, because its source is disabled.
    pub fn is_disabled_with_source(&self) -> bool {
        self.tags.contains_key(tag::DISABLED_WITH_SOURCE)
    }

    /// Whether its source was out of service when the courier last looked.
    pub fn is_marked(&self) -> bool {
        self.is_disabled_with_source() || self.tags.contains_key(tag::SOURCE_GONE_SINCE)
    }

    pub fn snapshots(&self) -> Vec<String> {
        self.volumes.iter().filter_map(|volume| volume.snapshot.clone()).collect()
    }

    pub fn size_gib(&self) -> i64 {
        self.volumes.iter().map(|volume| volume.size_gib).sum()
    }

    /// Whether all volumes that have a snapshot are encrypted. `None` if EC2's answer does not say: a pending AMI may show
    /// no snapshots yet, and a blank volume has none.
    pub fn encrypted(&self) -> Option<bool> {
        if self.state != State::Available {
            return None;
        }
        let with_snapshot = self.volumes.iter().filter(|volume| volume.snapshot.is_some());
        let encrypted: Option<Vec<bool>> = with_snapshot.map(|volume| volume.encrypted).collect();
        encrypted.filter(|volumes| !volumes.is_empty()).map(|volumes| volumes.into_iter().all(|encrypted| encrypted))
    }

    pub fn identity(&self, region: &Region) -> Identity {
        Identity { region: region.clone(), image: self.id.clone() }
    }
}

/// The live copy to answer with: an available one before a pending one before a disabled one, the oldest of them.
pub fn best<'a>(copies: impl Iterator<Item = &'a Image>) -> Option<&'a Image> {
    copies.filter(|copy| copy.state.is_live()).min_by_key(|copy| {
        let rank = match copy.state {
            State::Available => 0,
            State::Pending => 1,
            _ => 2,
        };
        (rank, copy.created, copy.id.clone())
    })
}
