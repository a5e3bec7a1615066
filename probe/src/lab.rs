//! What the questions share: a source AMI, copies of it, and the ways to look at them.
//!
//! Everything that a run makes carries the tag [`RUN_TAG`] from its first moment, and its id is in [`Made`] as soon as AWS has
//! answered. So [`clean`](crate::clean) finds it, whether the run ends by itself or is killed.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::OnceCell;

use crate::aws::{CallError, Connection, Element, Parameters, partition};

/// The key of the tag on everything that a run makes; its value is the run's id.
pub const RUN_TAG: &str = "ami-courier-probe";
/// Keeps a courier in the same account away from the probe's AMIs.
const SKIP_TAG: &str = "ami-courier:skip";
/// A tag that other accounts can see.
pub(crate) const SHARED_TAG: &str = "ec2:SharedTag/ami-courier-probe";

/// The path of the role of `--permissions`.
pub const ROLE_PATH: &str = "/ami-courier-probe/";
/// The name of its policy.
pub const ROLE_POLICY: &str = "ami-courier";

/// The design's bound: a new AMI is visible after this time at the latest.
pub const VISIBLE_WITHIN: Duration = Duration::from_secs(15 * 60);
/// A copy that is visible to nobody after this time is given up.
const GIVE_UP_LOOKING_AFTER: Duration = Duration::from_secs(20 * 60);
/// A copy of an AMI with one block takes minutes.
const GIVE_UP_COPYING_AFTER: Duration = Duration::from_secs(60 * 60);
/// IAM is eventually consistent: <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html>
const GIVE_UP_WAITING_FOR_ROLE: Duration = Duration::from_secs(3 * 60);
const POLL: Duration = Duration::from_secs(5);
/// Nobody's key: a UUID that KMS gives to no key.
const NO_KEY: &str = "00000000-0000-0000-0000-000000000000";

/// How a run goes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The Region that is asked: copies are made here.
    pub region: String,
    /// The Region of the source AMI.
    pub source_region: String,
    /// How many copies the time until a copy is visible is taken from.
    pub copies: usize,
    /// The id of the run.
    pub run: String,
    /// Whether to print each step to stderr.
    pub verbose: bool,
}

/// What the run made and did not remove yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// (Region, id), with the time at which AWS answered.
    pub images: Vec<(String, String, Duration)>,
    /// (Region, id).
    pub snapshots: BTreeSet<(String, String)>,
    /// The AMIs that the run has removed: a token may name one of them again.
    pub removed_images: BTreeSet<String>,
    /// Whether a role was made.
    pub has_role: bool,
    /// Whether a call that makes something had no answer: there may be more than is listed here.
    pub is_uncertain: bool,
}

/// The source AMI.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) image_id: String,
    pub(crate) snapshot_id: String,
    /// EC2's answer when the AMI was tagged with [`SHARED_TAG`].
    pub(crate) shared_tag: Result<(), CallError>,
}

/// One of the equal copies.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub(crate) image_id: String,
    pub(crate) name: String,
    pub(crate) token: String,
    /// When EC2 had accepted it.
    pub(crate) accepted_at: Duration,
    pub(crate) by_id: Sighting,
    pub(crate) by_source: Sighting,
    pub(crate) by_name: Sighting,
    /// The copy as it was shown for the first time while it was pending.
    pub(crate) pending: Option<Image>,
}

/// When a kind of look showed a copy for the first time, counted from when EC2 had accepted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) last_hidden: Option<Duration>,
    pub(crate) first_shown: Option<Duration>,
}

impl Sighting {
    fn note(&mut self, is_shown: bool, after: Duration) {
        if self.first_shown.is_some() {
            return;
        }
        *(if is_shown { &mut self.first_shown } else { &mut self.last_hidden }) = Some(after);
    }
}

/// A copy that was deregistered with its snapshots.
#[derive(Clone, Debug)]
pub(crate) struct DeadCopy {
    pub(crate) copy: Copy,
    pub(crate) at: Duration,
    /// EC2's `returnCode` for each snapshot.
    pub(crate) snapshot_codes: Vec<String>,
}

/// AWS under a role with the template's policy.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) aws: Connection,
    pub(crate) account: String,
}

/// An AMI as `DescribeImages` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image(Element);

impl Image {
    pub(crate) fn id(&self) -> &str {
        self.0.text_of("imageId").unwrap_or_default()
    }

    pub(crate) fn state(&self) -> &str {
        self.0.text_of("imageState").unwrap_or_default()
    }

    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.0.text_of(name)
    }

    pub(crate) fn state_reason(&self) -> Option<&str> {
        self.0.child("stateReason")?.text_of("message").filter(|message| !message.is_empty())
    }

    /// The `ebs` part of each block device that has one.
    pub(crate) fn volumes(&self) -> impl Iterator<Item = &Element> {
        self.0.items("blockDeviceMapping").filter_map(|device| device.child("ebs"))
    }

    pub(crate) fn snapshot_ids(&self) -> impl Iterator<Item = &str> {
        self.volumes().filter_map(|ebs| ebs.text_of("snapshotId")).filter(|id| !id.is_empty())
    }

    pub(crate) fn has_tag(&self, key: &str) -> bool {
        self.0.items("tagSet").any(|tag| tag.text_of("key") == Some(key))
    }
}

/// The answer to a look by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Shown(Image),
    /// No error, and no AMI.
    Empty,
    /// An error about the id.
    Refused(String),
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Look::Shown(image) => write!(f, "state {}", image.state()),
            Look::Empty => f.write_str("an empty answer"),
            Look::Refused(code) => f.write_str(code),
        }
    }
}

/// The AWS that is asked, with what this run has there.
#[derive(Debug)]
pub struct Lab {
    pub(crate) aws: Connection,
    pub(crate) plan: Plan,
    made: Mutex<Made>,
    source: OnceCell<Result<Source, CallError>>,
    copies: OnceCell<Result<Vec<Copy>, CallError>>,
    finished: OnceCell<Result<Image, CallError>>,
    dead: OnceCell<Result<DeadCopy, CallError>>,
    failed: OnceCell<Result<Copy, CallError>>,
    role: OnceCell<Result<Role, CallError>>,
}

impl Lab {
    #[must_use]
    pub fn new(aws: Connection, plan: Plan) -> Self {
        Lab {
            aws,
            plan,
            made: Mutex::default(),
            source: OnceCell::new(),
            copies: OnceCell::new(),
            finished: OnceCell::new(),
            dead: OnceCell::new(),
            failed: OnceCell::new(),
            role: OnceCell::new(),
        }
    }

    /// What the run made and did not remove yet.
    #[must_use]
    pub fn made(&self) -> Made {
        self.ledger().clone()
    }

    fn ledger(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.aws.clock().elapsed()
    }

    /// Waits until a time on the clock.
    pub(crate) async fn sleep_until(&self, time: Duration) -> Result<(), CallError> {
        match time.checked_sub(self.elapsed()) {
            None => Ok(()),
            Some(rest) => self.aws.sleep(rest).await,
        }
    }

    fn say(&self, step: impl fmt::Display) {
        if self.plan.verbose {
            eprintln!("{:>5} s  {step}", self.elapsed().as_secs());
        }
    }

    /// The tags on everything that this run makes.
    pub(crate) fn tags(&self) -> [(&str, &str); 2] {
        [(RUN_TAG, &self.plan.run), (SKIP_TAG, "probe")]
    }

    pub(crate) fn name(&self, what: impl fmt::Display) -> String {
        format!("ami-courier-probe {} {what}", self.plan.run)
    }

    /// A client token that is this run's own.
    pub(crate) fn token(&self, what: impl fmt::Display) -> String {
        format!("{}-{what}", self.plan.run)
    }

    /// Remembers when a call that makes something had no answer.
    pub(crate) fn note_lost<T>(&self, answer: Result<T, CallError>) -> Result<T, CallError> {
        if let Err(CallError::Lost(_)) = &answer {
            self.ledger().is_uncertain = true;
        }
        answer
    }
}

/// The source AMI.
impl Lab {
    /// The source AMI; made at the first call.
    pub(crate) async fn source(&self) -> Result<&Source, CallError> {
        self.source.get_or_init(|| self.make_source()).await.as_ref().map_err(Clone::clone)
    }

    /// A snapshot with one block, and an AMI of it with a blank volume beside it.
    async fn make_source(&self) -> Result<Source, CallError> {
        let region = &self.plan.source_region;
        self.say(format_args!("making a snapshot and an AMI in {region}"));
        let snapshot_id = self.note_lost(self.aws.start_snapshot(region, &self.tags()).await)?;
        self.ledger().snapshots.insert((region.clone(), snapshot_id.clone()));
        self.aws.put_first_block(region, &snapshot_id).await?;
        self.aws.complete_snapshot(region, &snapshot_id).await?;
        self.wait_until_snapshot_is_complete(&snapshot_id).await?;
        let parameters = Parameters::default()
            .with("Name", self.name("source"))
            .with("Architecture", "x86_64")
            .with("VirtualizationType", "hvm")
            .with("RootDeviceName", "/dev/xvda")
            .with("BlockDeviceMapping.1.DeviceName", "/dev/xvda")
            .with("BlockDeviceMapping.1.Ebs.SnapshotId", &snapshot_id)
            .with("BlockDeviceMapping.2.DeviceName", "/dev/sdb")
            .with("BlockDeviceMapping.2.Ebs.VolumeSize", "1")
            .tagged("image", &self.tags());
        let answer = self.note_lost(self.aws.ec2(region, "RegisterImage", &parameters).await)?;
        let image_id = self.image_made(region, &answer)?;
        self.wait_until_visible(region, &image_id).await?;
        let shared = Parameters::default().with("ResourceId.1", &image_id).tags(&[(SHARED_TAG, "probe")]);
        let shared_tag = match self.aws.ec2(region, "CreateTags", &shared).await {
            Err(CallError::Stopped) => return Err(CallError::Stopped),
            answer => answer.map(drop),
        };
        Ok(Source { image_id, snapshot_id, shared_tag })
    }

    async fn wait_until_snapshot_is_complete(&self, id: &str) -> Result<(), CallError> {
        let begun = self.elapsed();
        loop {
            let parameters = Parameters::default().with("SnapshotId.1", id);
            let answer = self.aws.ec2(&self.plan.source_region, "DescribeSnapshots", &parameters).await;
            match answer {
                Ok(answer) => {
                    match answer.items("snapshotSet").next().and_then(|snapshot| snapshot.text_of("status")) {
                        Some("completed") => return Ok(()),
                        Some("error") => {
                            return Err(CallError::Lost("EBS reports that the snapshot failed".to_owned()));
                        }
                        _ => {}
                    }
                }
                // It may be too young to be visible.
                Err(error) if error.code() == Some("InvalidSnapshot.NotFound") => {}
                Err(error) => return Err(error),
            }
            self.give_up(begun, GIVE_UP_LOOKING_AFTER, "the snapshot is not complete")?;
            self.aws.sleep(Duration::from_secs(5)).await?;
        }
    }

    /// The id in the answer of a call that makes an AMI; noted.
    fn image_made(&self, region: &str, answer: &Element) -> Result<String, CallError> {
        let Some(id) = answer.text_of("imageId") else {
            self.ledger().is_uncertain = true;
            return Err(CallError::Lost("the answer has no imageId".to_owned()));
        };
        let now = self.elapsed();
        let mut made = self.ledger();
        // A repeated token has the id of the first call.
        if !made.removed_images.contains(id) && !made.images.iter().any(|(_, known, _)| known == id) {
            made.images.push((region.to_owned(), id.to_owned(), now));
        }
        Ok(id.to_owned())
    }

    /// The longer it has waited, the longer it waits for the next look.
    async fn pause(&self, begun: Duration) -> Result<(), CallError> {
        self.aws.sleep((self.elapsed().saturating_sub(begun) / 10).max(POLL)).await
    }

    fn give_up(&self, begun: Duration, after: Duration, what: &str) -> Result<(), CallError> {
        if self.elapsed() < begun + after {
            return Ok(());
        }
        Err(CallError::Lost(format!("{what} after {} minutes", after.as_secs() / 60)))
    }
}

/// Copies.
impl Lab {
    /// `CopyImage` of the source AMI, with the tags of the run.
    pub(crate) async fn copy_of_source(&self, name: &str, token: &str) -> Result<Parameters, CallError> {
        self.copy_of_source_tagged(name, token, &self.tags()).await
    }

    /// The same, with tags of another order.
    pub(crate) async fn copy_of_source_tagged(
        &self,
        name: &str,
        token: &str,
        tags: &[(&str, &str)],
    ) -> Result<Parameters, CallError> {
        let source = self.source().await?;
        Ok(Parameters::default()
            .with("Name", name)
            .with("SourceImageId", &source.image_id)
            .with("SourceRegion", &self.plan.source_region)
            .with("ClientToken", token)
            .tagged("image", tags)
            .tagged("snapshot", tags))
    }

    /// Makes the call and returns the id in its answer.
    pub(crate) async fn copy(&self, parameters: &Parameters) -> Result<String, CallError> {
        self.copy_as(&self.aws, parameters).await
    }

    /// The equal copies, observed until all of them are visible. The first two are kept, the others are removed then, since EC2 limits
    /// the copies under way.
    pub(crate) async fn copies(&self) -> Result<&[Copy], CallError> {
        self.copies.get_or_init(|| self.make_copies()).await.as_deref().map_err(Clone::clone)
    }

    async fn make_copies(&self) -> Result<Vec<Copy>, CallError> {
        self.source().await?;
        self.say(format_args!("making {} copies in {}", self.plan.copies, self.plan.region));
        let mut copies = Vec::new();
        for n in 1..=self.plan.copies {
            let (name, token) = (self.name(n), self.token(n));
            let image_id = self.copy(&self.copy_of_source(&name, &token).await?).await?;
            copies.push(Copy {
                image_id,
                name,
                token,
                accepted_at: self.elapsed(),
                by_id: Sighting::default(),
                by_source: Sighting::default(),
                by_name: Sighting::default(),
                pending: None,
            });
            self.look_at_all(&mut copies).await?;
        }
        let begun = self.elapsed();
        let is_seen =
            |copy: &Copy| [copy.by_id, copy.by_source, copy.by_name].iter().all(|it| it.first_shown.is_some());
        while !copies.iter().all(is_seen) && self.elapsed() < begun + GIVE_UP_LOOKING_AFTER {
            let waited = self.elapsed().saturating_sub(begun);
            // Look at the bound itself, so that no copy seems later than it is.
            let next = (waited / 10).max(Duration::from_secs(1));
            let to_the_bound = VISIBLE_WITHIN.checked_sub(waited).filter(|rest| !rest.is_zero());
            self.aws.sleep(to_the_bound.map_or(next, |rest| rest.min(next))).await?;
            self.look_at_all(&mut copies).await?;
        }
        self.say("removing the copies that are no longer needed");
        for copy in copies.iter().skip(2) {
            // One that is not visible yet is removed in the end.
            if let Err(CallError::Stopped) = self.discard(&copy.image_id).await {
                return Err(CallError::Stopped);
            }
        }
        Ok(copies)
    }

    /// Looks for each copy in each way that has not shown it yet.
    async fn look_at_all(&self, copies: &mut [Copy]) -> Result<(), CallError> {
        let source = self.source().await?;
        let by_source = self
            .find(
                Parameters::default()
                    .filter("source-image-id", &source.image_id)
                    .filter("source-image-region", &self.plan.source_region),
            )
            .await?;
        let at = self.elapsed();
        for copy in copies.iter_mut() {
            copy.by_source.note(by_source.contains(&copy.image_id), at.saturating_sub(copy.accepted_at));
        }
        let names = copies.iter().filter(|copy| copy.by_name.first_shown.is_none());
        let filter = (1..).zip(names).fold(Parameters::default().with("Filter.1.Name", "name"), |filter, (n, copy)| {
            filter.with(format!("Filter.1.Value.{n}"), &copy.name)
        });
        if copies.iter().any(|copy| copy.by_name.first_shown.is_none()) {
            let by_name = self.find(filter).await?;
            let at = self.elapsed();
            for copy in copies.iter_mut() {
                copy.by_name.note(by_name.contains(&copy.image_id), at.saturating_sub(copy.accepted_at));
            }
        }
        for copy in copies.iter_mut().filter(|copy| copy.by_id.first_shown.is_none()) {
            let look = self.look(&copy.image_id).await?;
            copy.by_id.note(matches!(look, Look::Shown(_)), self.elapsed().saturating_sub(copy.accepted_at));
            if let Look::Shown(image) = look {
                copy.pending = Some(image).filter(|image| image.state() == "pending");
            }
        }
        Ok(())
    }

    /// The ids of the account's AMIs that match.
    async fn find(&self, filter: Parameters) -> Result<BTreeSet<String>, CallError> {
        let parameters = filter.with("Owner.1", "self");
        let found = self.aws.every_page(&self.plan.region, "DescribeImages", &parameters, "imagesSet").await?;
        Ok(found.into_iter().map(|image| Image(image).id().to_owned()).collect())
    }

    /// The first of the equal copies.
    pub(crate) async fn first_copy(&self) -> Result<&Copy, CallError> {
        self.copies().await?.first().ok_or_else(|| CallError::Lost("there is no copy".to_owned()))
    }

    /// The first copy, once it is available.
    pub(crate) async fn finished_copy(&self) -> Result<&Image, CallError> {
        let make = || async {
            let copy = self.first_copy().await?;
            self.wait_until_available(&copy.image_id).await
        };
        self.finished.get_or_init(make).await.as_ref().map_err(Clone::clone)
    }

    /// The second copy, deregistered with its snapshots after it was available.
    pub(crate) async fn dead_copy(&self) -> Result<&DeadCopy, CallError> {
        self.dead.get_or_init(|| self.make_dead_copy()).await.as_ref().map_err(Clone::clone)
    }

    async fn make_dead_copy(&self) -> Result<DeadCopy, CallError> {
        let copies = self.copies().await?;
        let copy = copies.get(1).ok_or_else(|| CallError::Lost("there is no second copy".to_owned()))?;
        self.wait_until_available(&copy.image_id).await?;
        self.say("deregistering a copy");
        let answer = self.discard(&copy.image_id).await?;
        let codes = answer.items("deleteSnapshotResultSet").filter_map(|result| result.text_of("returnCode"));
        Ok(DeadCopy { copy: copy.clone(), at: self.elapsed(), snapshot_codes: codes.map(str::to_owned).collect() })
    }

    /// A copy under a key that does not exist.
    ///
    /// # Errors
    /// The error of `CopyImage`, if EC2 notices the key at once.
    pub(crate) async fn failed_copy(&self) -> Result<&Copy, CallError> {
        self.failed.get_or_init(|| self.make_failed_copy()).await.as_ref().map_err(Clone::clone)
    }

    async fn make_failed_copy(&self) -> Result<Copy, CallError> {
        self.say("making a copy under a key that does not exist");
        let (name, token) = (self.name("failed"), self.token("failed"));
        let image_id = self.copy(&self.copy_under_no_key(&name, &token).await?).await?;
        Ok(Copy {
            image_id,
            name,
            token,
            accepted_at: self.elapsed(),
            by_id: Sighting::default(),
            by_source: Sighting::default(),
            by_name: Sighting::default(),
            pending: None,
        })
    }

    pub(crate) async fn copy_under_no_key(&self, name: &str, token: &str) -> Result<Parameters, CallError> {
        Ok(self.copy_of_source(name, token).await?.with("Encrypted", "true").with("KmsKeyId", NO_KEY))
    }

    /// Deregisters an AMI of this run with its snapshots.
    pub(crate) async fn discard(&self, image_id: &str) -> Result<Element, CallError> {
        let parameters = Parameters::default().with("ImageId", image_id).with("DeleteAssociatedSnapshots", "true");
        let answer = self.aws.ec2(&self.plan.region, "DeregisterImage", &parameters).await?;
        self.image_removed(image_id);
        Ok(answer)
    }
}

/// The role.
impl Lab {
    /// AWS under a role that has exactly what the template allows the function to ask of EC2.
    pub(crate) async fn role(&self) -> Result<&Role, CallError> {
        self.role.get_or_init(|| self.make_role()).await.as_ref().map_err(Clone::clone)
    }

    async fn make_role(&self) -> Result<Role, CallError> {
        self.say("making a role with the policy of the template");
        let account = self.aws.caller_identity().await?.account;
        let partition = partition(&self.plan.region);
        let name = format!("{RUN_TAG}-{}", self.plan.run);
        self.ledger().has_role = true;
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "AWS": format!("arn:{partition}:iam::{account}:root") },
                "Action": "sts:AssumeRole",
            }],
        });
        let role = Parameters::default()
            .with("Path", ROLE_PATH)
            .with("RoleName", &name)
            .with("AssumeRolePolicyDocument", trust.to_string())
            .with("Tags.member.1.Key", RUN_TAG)
            .with("Tags.member.1.Value", &self.plan.run);
        self.note_lost(self.aws.iam("CreateRole", &role).await)?;
        let policy = role_policy(&account, &self.plan);
        let policy = Parameters::default()
            .with("RoleName", &name)
            .with("PolicyName", ROLE_POLICY)
            .with("PolicyDocument", policy);
        self.aws.iam("PutRolePolicy", &policy).await?;
        let arn = format!("arn:{partition}:iam::{account}:role{ROLE_PATH}{name}");
        let begun = self.elapsed();
        loop {
            // A new role and its policy take effect late.
            let aws = match self.aws.assume_role(&arn, &name).await {
                Err(error) if error.code() == Some("AccessDenied") => Err(error),
                assumed => Ok(assumed?),
            };
            let look = Parameters::default().with("Owner.1", "self").filter("name", &self.name("source"));
            let allowed = match aws {
                Err(error) => Err(error),
                Ok(aws) => aws.ec2(&self.plan.region, "DescribeImages", &look).await.map(|_| aws),
            };
            match allowed {
                Ok(aws) => return Ok(Role { aws, account }),
                Err(CallError::Refused(_)) if self.elapsed() < begun + GIVE_UP_WAITING_FOR_ROLE => {}
                Err(error) => return Err(error),
            }
            self.aws.sleep(Duration::from_secs(5)).await?;
        }
    }

    /// A call under another principal that makes an AMI; noted.
    pub(crate) async fn copy_as(&self, aws: &Connection, parameters: &Parameters) -> Result<String, CallError> {
        let answer = self.note_lost(aws.ec2(&self.plan.region, "CopyImage", parameters).await)?;
        self.image_made(&self.plan.region, &answer)
    }

    /// An AMI of the run was deregistered.
    pub(crate) fn image_removed(&self, image_id: &str) {
        let mut made = self.ledger();
        made.images.retain(|(_, id, _)| id != image_id);
        made.removed_images.insert(image_id.to_owned());
    }
}

/// The template's policy for this account and these Regions, without spaces: IAM limits its length.
fn role_policy(account: &str, plan: &Plan) -> String {
    let policy = include_str!("role_policy.json")
        .replace("${Account}", account)
        .replace("${Region}", &plan.region)
        .replace("${SourceRegion}", &plan.source_region)
        .replace("${Partition}", partition(&plan.region));
    policy.lines().map(str::trim_start).collect()
}

/// Looks.
impl Lab {
    /// `DescribeImages` by id, without disabled AMIs.
    pub(crate) async fn look(&self, image_id: &str) -> Result<Look, CallError> {
        self.look_in(&self.plan.region, Parameters::default().with("ImageId.1", image_id)).await
    }

    /// The same, with disabled AMIs.
    pub(crate) async fn look_for_disabled(&self, image_id: &str) -> Result<Look, CallError> {
        let parameters = Parameters::default().with("ImageId.1", image_id).with("IncludeDisabled", "true");
        self.look_in(&self.plan.region, parameters).await
    }

    pub(crate) async fn look_in(&self, region: &str, parameters: Parameters) -> Result<Look, CallError> {
        match self.aws.ec2(region, "DescribeImages", &parameters).await {
            Ok(answer) => {
                Ok(answer.items("imagesSet").next().map_or(Look::Empty, |item| Look::Shown(Image(item.clone()))))
            }
            Err(CallError::Refused(refusal)) if refusal.code.starts_with("InvalidAMIID.") => {
                Ok(Look::Refused(refusal.code))
            }
            Err(error) => Err(error),
        }
    }

    async fn wait_until_visible(&self, region: &str, image_id: &str) -> Result<Image, CallError> {
        let begun = self.elapsed();
        loop {
            if let Look::Shown(image) = self.look_in(region, Parameters::default().with("ImageId.1", image_id)).await? {
                return Ok(image);
            }
            self.give_up(begun, GIVE_UP_LOOKING_AFTER, "an AMI is not visible")?;
            self.pause(begun).await?;
        }
    }

    /// Waits until a copy is no longer pending.
    pub(crate) async fn wait_until_ended(&self, image_id: &str) -> Result<Image, CallError> {
        self.say("waiting for a copy to end");
        let begun = self.elapsed();
        loop {
            if let Look::Shown(image) = self.look(image_id).await?
                && image.state() != "pending"
            {
                return Ok(image);
            }
            self.give_up(begun, GIVE_UP_COPYING_AFTER, "a copy is still pending, or not visible,")?;
            self.pause(begun).await?;
        }
    }

    pub(crate) async fn wait_until_available(&self, image_id: &str) -> Result<Image, CallError> {
        let image = self.wait_until_ended(image_id).await?;
        if image.state() == "available" {
            return Ok(image);
        }
        let reason = image.state_reason().unwrap_or("without a reason");
        Err(CallError::Lost(format!("a copy ended in state {}: {reason}", image.state())))
    }
}
