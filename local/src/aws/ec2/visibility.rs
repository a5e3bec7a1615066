//! Eventual consistency: when a new AMI is visible, by id and by filter.
//! <https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>

use std::sync::atomic::{AtomicU64, Ordering};

use time::OffsetDateTime;

use crate::aws::behaviour::Behaviour;
use crate::aws::clock::START;
use crate::aws::digest::md5;

/// The two ways to look for an AMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    ById,
    ByFilter,
}

/// From when on each kind of look is certain to show an AMI, and how many looks there were before.
#[derive(Clone, Debug)]
pub(super) struct Visibility {
    by_id_from: OffsetDateTime,
    by_filter_from: OffsetDateTime,
    looks_by_id: Count,
    looks_by_filter: Count,
}

impl Visibility {
    /// For an AMI that exists since the world began.
    pub(super) fn since_start() -> Self {
        Visibility {
            by_id_from: START,
            by_filter_from: START,
            looks_by_id: Count::default(),
            looks_by_filter: Count::default(),
        }
    }

    /// For an AMI that is made now.
    pub(super) fn of_new_image(now: OffsetDateTime, behaviour: &Behaviour) -> Self {
        Visibility {
            by_id_from: now + behaviour.invisible_by_id_for,
            by_filter_from: now + behaviour.invisible_by_filter_for,
            ..Visibility::since_start()
        }
    }

    pub(super) fn is_certain(&self, look: Look, now: OffsetDateTime) -> bool {
        now >= match look {
            Look::ById => self.by_id_from,
            Look::ByFilter => self.by_filter_from,
        }
    }

    /// Tosses a coin for a look that is not certain: the same in every run, for the same seed, AMI and number of looks.
    pub(super) fn flickers(&self, look: Look, image_id: &str, seed: u64) -> bool {
        let count = match look {
            Look::ById => self.looks_by_id.next(),
            Look::ByFilter => self.looks_by_filter.next(),
        };
        md5(format!("{seed} {image_id} {look:?} {count}").as_bytes())[0].is_multiple_of(2)
    }
}

/// A counter that can count in a shared reference: a look changes nothing else.
#[derive(Debug, Default)]
struct Count(AtomicU64);

impl Count {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl Clone for Count {
    fn clone(&self) -> Self {
        Count(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }
}
