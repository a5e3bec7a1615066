//! EC2 and Parameter Store at their weakest, as far as the election uses them.
//!
//! - What was changed may look, look by look, as it was before, until the bound of visibility.
//! - A call that is under way when its worker crashes arrives later, until the bound of an invocation, or never. A write to a
//!   parameter may also take effect later: Parameter Store checks the AMI first.
//! - Nothing is conditional: the last write wins.

use courier_core::identity::ImageId;
use courier_core::identity::ParameterName;
use courier_core::image::{Image, State, tag};
use time::{Duration, OffsetDateTime};

/// Copies are numbered by their sources' creation, the oldest first.
pub(crate) type Copies = u8;
/// `beta`, then `prod`.
pub(crate) type Name = u8;
/// An AMI that a parameter holds: a copy, or [`FOREIGN`].
pub(crate) type Ami = u8;

/// An AMI that is no copy of this stack, created after the first copy's source and before the others'.
pub(crate) const FOREIGN: Ami = 9;
pub(crate) const CHANNELS: [&str; 2] = ["beta", "prod"];
pub(crate) const STACK: &str = "golden";

/// The time of every look: ages count back from it.
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000)
}

/// A tick is a minute to the functions.
pub(crate) fn ticks(ticks: u8) -> Duration {
    Duration::minutes(ticks.into())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum InEc2 {
    Available,
    Disabled,
    Deregistered,
}

/// What EC2 shows of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tags {
    pub(crate) name: Option<Name>,
    /// People's key.
    pub(crate) withdrawn: bool,
    /// The courier's key.
    pub(crate) withdrawn_source: bool,
    pub(crate) state: InEc2,
}

/// What EC2 shows of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SourceTags {
    pub(crate) name: Option<Name>,
    pub(crate) withdrawn: bool,
    /// A deregistered source is out of sight.
    pub(crate) state: InEc2,
}

/// Something that looks as it is, or as it was a short time ago.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Seen<T> {
    pub(crate) now: T,
    /// With the ticks since it changed.
    before: Vec<(T, u8)>,
}

impl<T: Copy + Ord> Seen<T> {
    pub(crate) fn new(now: T) -> Self {
        Self { now, before: Vec::new() }
    }

    pub(crate) fn change(&mut self, change: impl FnOnce(&mut T)) {
        let before = self.now;
        change(&mut self.now);
        if self.now != before {
            self.before.retain(|(seen, _)| *seen != before);
            self.before.push((before, 0));
            self.before.sort_unstable();
        }
    }

    /// As it may look.
    pub(crate) fn views(&self) -> Vec<T> {
        let others = self.before.iter().map(|(seen, _)| *seen).filter(|seen| *seen != self.now);
        std::iter::once(self.now).chain(others).collect()
    }

    pub(crate) fn tick(&mut self, visible: u8) {
        self.before.iter_mut().for_each(|(_, age)| *age += 1);
        self.before.retain(|(_, age)| *age < visible);
    }

    fn settle(&mut self) {
        self.before.clear();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CopyState {
    pub(crate) ec2: Seen<Tags>,
    pub(crate) source: Seen<SourceTags>,
    /// Ticks since the courier's key was put on.
    pub(crate) key_age: u8,
    /// Whether people withdrew this copy, whatever its tags say.
    pub(crate) people_withdrew: bool,
    /// Whether the courier moved the parameter off this copy because of its source, and has not seen it in service since.
    pub(crate) gone_back: bool,
}

/// A write to EC2 or Parameter Store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Write {
    Put { name: Name, ami: Ami },
    Tag(Copies, Option<Name>),
    Withdraw(Copies),
    Restore(Copies),
    Disable(Copies),
    Enable(Copies),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) copies: Vec<CopyState>,
    pub(crate) parameters: Vec<Option<Ami>>,
}

impl World {
    /// Everything looks as it is.
    pub(crate) fn settle(&mut self) {
        for copy in &mut self.copies {
            copy.ec2.settle();
            copy.source.settle();
        }
    }

    /// `one_key`: people's key and the courier's are the same.
    pub(crate) fn write(&mut self, write: Write, one_key: bool) {
        let mut change = |copy: Copies, change: &dyn Fn(&mut Tags)| {
            self.copies[usize::from(copy)].ec2.change(|tags| {
                if tags.state != InEc2::Deregistered {
                    change(tags);
                }
            });
        };
        match write {
            Write::Put { name, ami } => self.parameters[usize::from(name)] = Some(ami),
            Write::Tag(copy, name) => change(copy, &|tags| tags.name = name),
            Write::Withdraw(copy) if one_key => change(copy, &|tags| tags.withdrawn = true),
            Write::Withdraw(copy) => change(copy, &|tags| tags.withdrawn_source = true),
            Write::Restore(copy) if one_key => change(copy, &|tags| tags.withdrawn = false),
            Write::Restore(copy) => change(copy, &|tags| tags.withdrawn_source = false),
            Write::Disable(copy) => change(copy, &|tags| tags.state = InEc2::Disabled),
            Write::Enable(copy) => change(copy, &|tags| tags.state = InEc2::Available),
        }
        if let Write::Withdraw(copy) = write {
            self.copies[usize::from(copy)].key_age = 0;
        }
    }
}

/// The texts and AMIs that the model's small numbers stand for: made once, since looks are many.
pub(crate) struct Table {
    ids: Vec<ImageId>,
    names: Vec<ParameterName>,
}

impl Table {
    pub(crate) fn new() -> Self {
        let id = |ami: Ami| format!("ami-0000000{ami}").parse().unwrap();
        let name = |channel: &&str| format!("/golden/{channel}").parse().unwrap();
        Self { ids: (0..=FOREIGN).map(id).collect(), names: CHANNELS.iter().map(name).collect() }
    }

    pub(crate) fn id(&self, ami: Ami) -> &ImageId {
        &self.ids[usize::from(ami)]
    }

    pub(crate) fn ami(&self, id: &ImageId) -> Ami {
        Ami::try_from(self.ids.iter().position(|other| other == id).unwrap()).unwrap()
    }

    pub(crate) fn name(&self, name: Name) -> &ParameterName {
        &self.names[usize::from(name)]
    }

    pub(crate) fn number(&self, name: &ParameterName) -> Name {
        Name::try_from(self.names.iter().position(|other| other == name).unwrap()).unwrap()
    }

    /// A copy as a look shows it. `newness`: which copy's age it has.
    pub(crate) fn copy(&self, copy: Copies, tags: Tags, key_age: u8, newness: Copies) -> Image {
        let mut image = Image { state: state(tags.state), ..Image::new(self.id(copy).clone()) };
        let mut put = |key: &str, value: String| drop(image.tags.insert(key.to_owned(), value));
        put(tag::STACK, STACK.to_owned());
        put(tag::SOURCE_CREATED, tag::time(created(newness)));
        if let Some(name) = tags.name {
            put(tag::PARAMETER, self.name(name).to_string());
        }
        if tags.withdrawn {
            put(tag::WITHDRAWN, String::new());
        }
        if tags.withdrawn_source {
            put(tag::WITHDRAWN_SOURCE, tag::time(now() - ticks(key_age)));
        }
        image
    }

    pub(crate) fn foreign(&self) -> Image {
        let created = created(0) + Duration::hours(12);
        Image { state: State::Available, created: Some(created), ..Image::new(self.id(FOREIGN).clone()) }
    }

    /// A source as a look shows it. `None`: out of sight.
    pub(crate) fn source(&self, copy: Copies, tags: SourceTags) -> Option<Image> {
        if tags.state == InEc2::Deregistered {
            return None;
        }
        let mut image = Image { state: state(tags.state), ..Image::new(self.id(copy).clone()) };
        if let Some(name) = tags.name {
            image.tags.insert("Channel".to_owned(), CHANNELS[usize::from(name)].to_owned());
        }
        if tags.withdrawn {
            image.tags.insert(tag::WITHDRAWN.to_owned(), String::new());
        }
        Some(image)
    }
}

fn created(copy: Copies) -> OffsetDateTime {
    now() - Duration::days(30) + Duration::days(copy.into())
}

fn state(state: InEc2) -> State {
    match state {
        InEc2::Available => State::Available,
        InEc2::Disabled => State::Disabled,
        InEc2::Deregistered => State::Deregistered,
    }
}
