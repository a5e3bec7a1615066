//! What AWS leaves open, or does differently from day to day: the tests choose.
//!
//! Each dial says where its values come from: *documented* (a page of AWS or the API model says so), *reported* (users saw
//! it), or *assumed* (nobody says so, and nobody rules it out).

use std::collections::BTreeSet;
use std::time::Duration;

/// The dials of the world. The defaults are AWS's ordinary ways; [`Behaviour::weakest`] is the least that AWS promises.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub struct Behaviour {
    /// How long a copy is pending. Default: 20 minutes. Documented: no maximum without a completion duration.
    pub copy_duration: Duration,
    /// How many AMI copies may be under way in a destination Region, per account. Default: 300 (documented).
    pub copies_in_progress_limit: usize,
    /// How many snapshot copies may be under way in a destination Region, per account. Documented: 20, raised on request.
    /// Default: no limit, until a test sets it.
    pub snapshot_copies_limit: usize,

    /// Whether `CopyImage` refuses a name that another AMI of the account has, with `InvalidAMIName.Duplicate`. Default: no.
    /// Reported: it does not (two AMIs with one name in one Region). `RegisterImage` always refuses (documented).
    pub copy_image_refuses_taken_names: bool,
    /// Whether a name is taken even while its AMI is not visible yet. Default: yes. Assumed, both ways.
    pub invisible_hold_names: bool,
    /// How long the name of a deregistered AMI stays taken. Default: not at all. Assumed.
    pub name_lingers_for: Duration,

    /// How long a new AMI is not visible by id. Default: not at all. Documented: no maximum ("up to five minutes" is what
    /// AWS suggests to wait). Reported: minutes. The design takes 15 minutes as the bound.
    pub invisible_by_id_for: Duration,
    /// How long a new AMI is not visible by filter. Default: not at all. As with
    /// [`invisible_by_id_for`](Self::invisible_by_id_for); assumed: each kind of look has its own delay.
    pub invisible_by_filter_for: Duration,
    /// With a seed, each look at an AMI that is not visible yet shows it or not, like the toss of a coin, and each look at one that
    /// was changed shows one of its versions: AWS answers from many machines. The same seed gives the same answers. Default: no seed;
    /// such an AMI, and such a change, is never shown. Assumed.
    pub flicker_seed: Option<u64>,
    /// How long `DescribeImages` by id may show the tags and attributes that an AMI had before a call changed them. Default: not at
    /// all. Documented: eventual consistency, without a maximum. Assumed: 15 minutes, as for a new AMI.
    pub changes_invisible_by_id_for: Duration,
    /// The same by filter. Assumed: each kind of look has its own delay.
    pub changes_invisible_by_filter_for: Duration,
    /// How an AMI that is not visible yet looks by id. Default: `NotFound` (reported). `Empty`, `Unavailable`: assumed.
    pub invisible_as: HiddenAs,
    /// How an AMI that is not shared with the caller looks by id. Default: `NotFound` (assumed). Reported: `Empty`.
    pub not_shared_as: HiddenAs,

    /// Whether other accounts that an AMI is shared with see its shared tags. Default: yes (documented since October 2026). No:
    /// assumed, for Regions and partitions that do not have them yet.
    pub shared_tags_visible: bool,
    /// Whether `CopyImage` copies shared tags that are not asked for. Default: no. Documents disagree.
    pub copies_have_shared_tags: bool,
    /// Whether other accounts see `SourceImageId` and `SourceImageRegion` of an AMI. Default: yes. Reported for public AMIs,
    /// assumed for those that are shared.
    pub source_fields_visible: bool,

    /// How long a deregistered AMI is still returned, in state `deregistered`. Default: 1 minute. Documented: for a while.
    /// Zero is assumed.
    pub deregistered_returned_for: Duration,
    /// How long, after that, the answer by id is empty without an error. Default: 1 hour. Documented: before it is an error;
    /// reported: for two days. Zero is assumed.
    pub deregistered_empty_for: Duration,
    /// How a deregistered AMI looks by id from then on. Default: `NotFound` (documented). `Unavailable`: reported. `Empty`
    /// (for ever): assumed.
    pub forgotten_as: HiddenAs,

    /// How long a client token is remembered after its first call. Default: `None`, for ever. Documented: nothing for
    /// `CopyImage`; for `RunInstances`, at least 24 hours after the instance has ended.
    pub tokens_remembered_for: Option<Duration>,
    /// The answer to a remembered token whose AMI is deregistered or failed. Default: its id. Assumed, both ways.
    pub token_of_dead_image: TokenOfDeadImage,

    /// What a repeated call with a remembered token must have in common with the first. Default: every parameter, as it was
    /// sent. Documented: every parameter. Whether the order of tags counts: assumed, both ways.
    pub tokens_compare: TokensCompare,

    /// Whether `CopyImage` refuses a key that does not exist, with `InvalidKmsKeyId.NotFound` (assumed). Default: no; the copy
    /// fails later (reported).
    pub copy_image_checks_keys: bool,
    /// Whether an image accepts tags `ec2:SharedTag/...`. Default: yes (documented).
    pub shared_tags_on_images: bool,
    /// Whether a snapshot accepts tags `ec2:SharedTag/...`. Default: no (documented).
    pub shared_tags_on_snapshots: bool,
    /// Whether `IncludeDisabled` shows disabled AMIs. Default: yes (documented).
    pub disabled_images_are_shown_if_asked_for: bool,

    /// When `DescribeImages` begins to show the snapshot ids of a copy. Default: from the start. Reported: not while it is
    /// pending.
    pub snapshot_ids_at: SnapshotIdsAt,
    /// What `DeregisterImage` with `DeleteAssociatedSnapshots` achieves for each snapshot that no other AMI uses. Default: it
    /// is deleted. Each of the values is documented.
    pub snapshot_deletion: SnapshotDeletion,
    /// How long an image usage report is pending. Default: 10 minutes. Documented: nothing.
    pub usage_report_duration: Duration,
    /// With a reason, image usage reports end in state `error` with it. Default: none. Documented: a report can fail.
    pub usage_report_error: Option<String>,
    /// The resource types that `CreateImageUsageReport` refuses. Default: none. Documented: it takes four. Assumed: two of them are
    /// newer than the others, and may not be taken in each Region and partition yet; and the code.
    pub usage_reports_refuse: BTreeSet<String>,
    /// How old the use is that an image usage report shows. Default: 24 hours. Documented: instances of the last 24 hours may
    /// be missing, and launch templates of the last few days.
    pub usage_reports_lag: Duration,
    /// When `LastLaunchedTime` shows a launch. Default: after 24 hours. Documented: with a delay of 24 hours.
    pub last_launched_time_lag: Duration,
    /// Regions where EBS encryption by default is on. Default: none.
    pub encryption_by_default: BTreeSet<String>,
    /// Regions where block public access for AMIs and for snapshots is on. Default: none. Documented: on in most accounts, for AMIs.
    pub public_access_blocked: BTreeSet<String>,
    /// How many more messages `GetQueueAttributes` counts than a queue holds. Default: none. Documented: its numbers are
    /// approximate.
    pub messages_counted_too_many: usize,
    /// How often one chain of requests may invoke a function: then Lambda refuses the next invocation. Default: no bound, as the
    /// template asks for (`RecursiveLoop: Allow`). Documented: about 16 for a function without it.
    pub invocations_in_a_chain: Option<u32>,
    /// The most results of one page, even if `MaxResults` is higher. Default: 1000 (documented; a page may be shorter).
    pub page_size: usize,
    /// Whether the world sends the events of [`World::take_events`](super::World::take_events). Default: yes. Documented:
    /// best effort.
    pub events: bool,
    /// How often the event of a change of tags comes. Default: once. Documented: best effort, so perhaps not at all; and an event that
    /// comes can come twice. <https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-tag.html>
    pub tag_events: u32,
    /// Whether the event of a failed AMI has its reason in `ErrorMessage`. Default: yes (documented).
    pub events_name_the_reason: bool,
    /// Whether a parameter can change to or from the data type `aws:ec2:image`. Default: no. Documented: it cannot. Assumed: the
    /// code, `ValidationException`.
    /// <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-data-types.html>
    pub parameters_change_data_type: bool,
    /// Whether the event of a parameter's change has `dataType`. Default: yes. Documented: only for an event with `exception`,
    /// which always has it.
    /// <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html>
    pub parameter_events_name_the_data_type: bool,
    /// How long the check of an `aws:ec2:image` parameter takes. Default: no time. Documented: it is asynchronous.
    pub parameter_check_duration: Duration,
}

/// The longest that a new AMI is not visible: the design's bound.
const LONGEST_INVISIBLE: Duration = Duration::from_secs(15 * 60);
/// How long Parameter Store takes to check an AMI. Documented: no maximum. Assumed.
const LONGEST_CHECK_OF_A_PARAMETER: Duration = Duration::from_secs(60);
/// The shortest time for which the design takes a client token to be remembered.
const SHORTEST_MEMORY_OF_TOKENS: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            copy_duration: Duration::from_secs(20 * 60),
            copies_in_progress_limit: 300,
            snapshot_copies_limit: usize::MAX,
            copy_image_refuses_taken_names: false,
            invisible_hold_names: true,
            name_lingers_for: Duration::ZERO,
            invisible_by_id_for: Duration::ZERO,
            invisible_by_filter_for: Duration::ZERO,
            flicker_seed: None,
            changes_invisible_by_id_for: Duration::ZERO,
            changes_invisible_by_filter_for: Duration::ZERO,
            invisible_as: HiddenAs::NotFound,
            not_shared_as: HiddenAs::NotFound,
            shared_tags_visible: true,
            copies_have_shared_tags: false,
            source_fields_visible: true,
            deregistered_returned_for: Duration::from_secs(60),
            deregistered_empty_for: Duration::from_secs(60 * 60),
            forgotten_as: HiddenAs::NotFound,
            tokens_remembered_for: None,
            token_of_dead_image: TokenOfDeadImage::ImageId,
            tokens_compare: TokensCompare::EveryParameter,
            copy_image_checks_keys: false,
            shared_tags_on_images: true,
            shared_tags_on_snapshots: false,
            disabled_images_are_shown_if_asked_for: true,
            snapshot_ids_at: SnapshotIdsAt::Start,
            snapshot_deletion: SnapshotDeletion::Success,
            usage_report_duration: Duration::from_secs(10 * 60),
            usage_report_error: None,
            usage_reports_refuse: BTreeSet::new(),
            usage_reports_lag: Duration::from_secs(24 * 60 * 60),
            last_launched_time_lag: Duration::from_secs(24 * 60 * 60),
            encryption_by_default: BTreeSet::new(),
            public_access_blocked: BTreeSet::new(),
            messages_counted_too_many: 0,
            invocations_in_a_chain: None,
            page_size: 1000,
            events: true,
            tag_events: 1,
            events_name_the_reason: true,
            parameters_change_data_type: false,
            parameter_events_name_the_data_type: true,
            parameter_check_duration: Duration::ZERO,
        }
    }
}

impl Behaviour {
    /// The least that AWS promises: names are not unique, a new AMI and a change of one are not visible for 15 minutes, a
    /// deregistered one is `NotFound` at once, a token is forgotten after 24 hours, and the token of a dead AMI is an error.
    pub fn weakest() -> Self {
        let mut weakest = Behaviour {
            copy_image_refuses_taken_names: false,
            deregistered_returned_for: Duration::ZERO,
            deregistered_empty_for: Duration::ZERO,
            tokens_remembered_for: Some(SHORTEST_MEMORY_OF_TOKENS),
            token_of_dead_image: TokenOfDeadImage::Error,
            snapshot_ids_at: SnapshotIdsAt::End,
            parameter_events_name_the_data_type: false,
            parameter_check_duration: LONGEST_CHECK_OF_A_PARAMETER,
            ..Behaviour::default()
        };
        weakest.hide_new_images_for(LONGEST_INVISIBLE);
        weakest.hide_changes_for(LONGEST_INVISIBLE);
        weakest
    }

    /// Sets how long a change of an AMI's tags or attributes is not visible, by id and by filter alike.
    pub fn hide_changes_for(&mut self, duration: Duration) {
        self.changes_invisible_by_id_for = duration;
        self.changes_invisible_by_filter_for = duration;
    }

    /// Sets how long a new AMI is not visible, by id and by filter alike.
    pub fn hide_new_images_for(&mut self, duration: Duration) {
        self.invisible_by_id_for = duration;
        self.invisible_by_filter_for = duration;
    }
}

/// How `DescribeImages` answers, by id, for an AMI that it does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HiddenAs {
    /// The error `InvalidAMIID.NotFound`, for the whole call.
    NotFound,
    /// No error; the AMI is missing in the answer.
    Empty,
    /// The error `InvalidAMIID.Unavailable`, for the whole call.
    Unavailable,
}

/// How EC2 answers a client token that it remembers, once its AMI is deregistered or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOfDeadImage {
    /// With the id of that AMI, as the first time.
    ImageId,
    /// With the error `IdempotentInstanceTerminated`. That is the error of `RunInstances` for the token of an instance that
    /// has ended, the only documented precedent; `CopyImage` is documented to have none.
    Error,
}

/// What makes two calls with one client token the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokensCompare {
    /// Every parameter, with tags in their order.
    EveryParameter,
    /// Every parameter, with tags in any order.
    EveryParameterButTheOrderOfTags,
    /// Nothing but the token.
    Nothing,
}

/// From when on `DescribeImages` shows the snapshot ids of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotIdsAt {
    /// From the start.
    Start,
    /// Once the copy is no longer pending.
    End,
    /// Not even then, until a test says otherwise.
    Never,
}

/// The result of deleting a snapshot with its AMI.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSnapshotReturnCode.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotDeletion {
    /// `success`: it is deleted.
    Success,
    /// `missing-permissions`: it stays.
    MissingPermissions,
    /// `internal-error`: it stays.
    InternalError,
    /// `client-error`: it stays.
    ClientError,
}
