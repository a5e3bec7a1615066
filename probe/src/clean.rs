//! Removes what a run made: by the ids that it knows, and by the tag that everything carries.
//!
//! EC2 shows a new AMI late, so a look that finds nothing proves little. It looks until two looks in a row find nothing and every known
//! id is gone, and, if there may be AMIs whose id nobody knows, for as long as an AMI can be invisible.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::aws::{CallError, Connection, Element, Parameters};
use crate::lab::{Kind, Made, NAME_PREFIX, PARAMETER_PATH, ROLE_PATH, ROLE_POLICY, RUN_TAG, VISIBLE_WITHIN};

const BETWEEN_LOOKS: Duration = Duration::from_secs(20);
/// After this time, an AMI that EC2 has never shown is taken for gone, and what cannot be removed is reported.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60 * 60);

/// What to remove.
#[derive(Clone, Debug)]
pub struct Leftovers {
    pub regions: BTreeSet<String>,
    /// Only of this run; `None`: of every run.
    pub run: Option<String>,
    /// What is known. If it is uncertain, there may be more, and invisible.
    pub made: Made,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    pub images: usize,
    pub snapshots: usize,
    pub reports: usize,
    pub roles: usize,
    pub rules: usize,
    pub queues: usize,
    pub parameters: usize,
    /// What was not looked for, with the reason.
    pub notes: Vec<String>,
    /// What could not be removed, with the reason.
    pub left: Vec<String>,
}

impl fmt::Display for Cleaned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cleaned { images, snapshots, reports, roles, rules, queues, parameters, notes, left } = self;
        notes.iter().try_for_each(|note| writeln!(f, "{note}"))?;
        write!(
            f,
            "Removed: {images} AMIs with their snapshots, {snapshots} other snapshots, {reports} usage reports, {roles} roles, \
             {rules} rules, {queues} queues, {parameters} parameters. "
        )?;
        if left.is_empty() {
            return f.write_str("Nothing is left.");
        }
        write!(f, "Not removed:")?;
        left.iter().try_for_each(|left| write!(f, "\n  {left}"))
    }
}

impl Cleaned {
    /// Says once what was not looked for.
    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// Removes all of it.
pub async fn clean(aws: &Connection, leftovers: &Leftovers) -> Cleaned {
    let mut cleaned = Cleaned::default();
    let mut made = leftovers.made.clone();
    let begun = aws.clock().elapsed();
    let mut empty_looks = 0;
    loop {
        cleaned.left.clear();
        let mut found = leftovers.made.kinds.contains(&Kind::Role) && remove_roles(aws, leftovers, &mut cleaned).await;
        for region in &leftovers.regions {
            let mut sweep =
                Sweep { aws, region, run: leftovers.run.as_deref(), made: &mut made, cleaned: &mut cleaned };
            for kind in &leftovers.made.kinds {
                found |= sweep.remove(*kind).await;
            }
            found |= sweep.once().await;
        }
        empty_looks = if found || !cleaned.left.is_empty() { 0 } else { empty_looks + 1 };
        let waited = aws.clock().elapsed().saturating_sub(begun);
        let is_certain = !leftovers.made.is_uncertain || waited >= VISIBLE_WITHIN;
        if (empty_looks >= 2 && is_certain) || waited >= GIVE_UP_AFTER {
            return cleaned;
        }
        // The longer it has waited, the longer it waits for the next look.
        aws.clock().sleep((waited / 5).max(BETWEEN_LOOKS)).await;
    }
}

/// Removes the roles of the run. Returns whether there was one.
async fn remove_roles(aws: &Connection, leftovers: &Leftovers, cleaned: &mut Cleaned) -> bool {
    let roles = match aws.iam("ListRoles", &Parameters::default().with("PathPrefix", ROLE_PATH)).await {
        Ok(answer) => answer.find("Roles").map(|roles| roles.children.clone()).unwrap_or_default(),
        Err(error) => {
            // Most runs make no role, and their user may not look for one.
            cleaned.note(format!("Roles with the path {ROLE_PATH} were not looked for: {error}"));
            return false;
        }
    };
    let is_ours = |name: &str| leftovers.run.as_ref().is_none_or(|run| name.ends_with(run.as_str()));
    let names: Vec<&str> =
        roles.iter().filter_map(|role| role.text_of("RoleName")).filter(|name| is_ours(name)).collect();
    for name in &names {
        match remove_role(aws, name).await {
            Ok(()) => cleaned.roles += 1,
            Err(error) => cleaned.left.push(format!("role {name}: {error}")),
        }
    }
    !names.is_empty()
}

async fn remove_role(aws: &Connection, name: &str) -> Result<(), CallError> {
    let role = Parameters::default().with("RoleName", name);
    match aws.iam("DeleteRolePolicy", &role.clone().with("PolicyName", ROLE_POLICY)).await {
        // It was not put yet.
        Err(error) if error.code() == Some("NoSuchEntity") => {}
        answer => drop(answer?),
    }
    aws.iam("DeleteRole", &role).await.map(drop)
}

/// Whether a name is that of a rule or queue that a run makes: the prefix, then the run's id of twelve digits.
fn is_of_a_run(name: &str) -> bool {
    let id = name.strip_prefix(NAME_PREFIX).and_then(|rest| rest.get(..12));
    id.is_some_and(|id| id.chars().all(|digit| digit.is_ascii_hexdigit()))
}

/// One look in one Region.
struct Sweep<'a> {
    aws: &'a Connection,
    region: &'a str,
    run: Option<&'a str>,
    made: &'a mut Made,
    cleaned: &'a mut Cleaned,
}

impl Sweep<'_> {
    /// Removes everything of a kind that this Region has. Returns whether there was anything.
    async fn remove(&mut self, kind: Kind) -> bool {
        match kind {
            Kind::Parameter => self.remove_parameters().await,
            // A role belongs to no Region.
            Kind::Role => false,
            Kind::RuleOrQueue => {
                let rules = self.remove_rules().await;
                let queues = self.remove_queues().await;
                rules || queues
            }
            Kind::UsageReport => self.remove_reports().await,
        }
    }

    /// Removes the AMIs and snapshots that it sees and those that are known. Returns whether there was anything.
    async fn once(&mut self) -> bool {
        let images = self.remove_images().await;
        // After the AMIs: a snapshot that an AMI uses cannot be deleted.
        let snapshots = self.remove_snapshots().await;
        images || snapshots
    }

    fn note_left(&mut self, what: impl fmt::Display, error: &CallError) {
        self.cleaned.left.push(format!("{what} in {}: {error}", self.region));
    }

    /// Adds the run's filter.
    fn of_run(&self, parameters: Parameters) -> Parameters {
        match self.run {
            Some(run) => parameters.filter(&format!("tag:{RUN_TAG}"), run),
            None => parameters.filter("tag-key", RUN_TAG),
        }
    }

    /// The items of a Describe call that carry the run's tag. What a server shows in spite of the filter is left alone.
    async fn find(&mut self, action: &str, set: &str, parameters: Parameters) -> Vec<Element> {
        let found = self.aws.every_page(self.region, action, &parameters, set).await;
        match found {
            Ok(found) => found.into_iter().filter(|item| self.is_ours(item)).collect(),
            Err(error) => {
                self.note_left(action, &error);
                Vec::new()
            }
        }
    }

    fn is_ours(&self, item: &Element) -> bool {
        item.items("tagSet").any(|tag| {
            tag.text_of("key") == Some(RUN_TAG) && self.run.is_none_or(|run| tag.text_of("value") == Some(run))
        })
    }

    /// What was listed. A user who may not list something has most likely made none of it: that is a note.
    fn listed(&mut self, what: &str, answer: Result<Vec<String>, CallError>) -> Vec<String> {
        answer.unwrap_or_else(|error| {
            let region = self.region;
            match &error {
                CallError::Refused(_) => {
                    self.cleaned.note(format!("{what} of the probe in {region} were not looked for: {error}"));
                }
                CallError::Lost(_) | CallError::Stopped => self.note_left(what, &error),
            }
            Vec::new()
        })
    }

    /// What the names of the run's rules and queues begin with.
    fn name_prefix(&self) -> String {
        format!("{NAME_PREFIX}{}", self.run.unwrap_or_default())
    }

    async fn remove_rules(&mut self) -> bool {
        let rules = self.aws.rules(self.region, &self.name_prefix()).await;
        let names = self.listed("Rules", rules);
        for name in names.iter().filter(|name| is_of_a_run(name)) {
            match self.aws.remove_rule(self.region, name).await {
                Ok(()) => self.cleaned.rules += 1,
                Err(error) => self.note_left(format_args!("rule {name}"), &error),
            }
        }
        names.iter().any(|name| is_of_a_run(name))
    }

    /// SQS can list a queue for a minute after it was deleted, and a new one late.
    async fn remove_queues(&mut self) -> bool {
        let queues = self.aws.queues(self.region, &self.name_prefix()).await;
        let listed = self.listed("Queues", queues);
        let is_ours = |url: &String| url.rsplit('/').next().is_some_and(is_of_a_run);
        let mut urls: BTreeSet<String> = listed.into_iter().filter(is_ours).collect();
        urls.extend(self.made.queues.iter().filter(|(region, _)| region == self.region).map(|(_, url)| url.clone()));
        urls.retain(|url| !self.made.removed_queues.contains(url));
        for url in &urls {
            match self.aws.delete_queue(self.region, url).await {
                Ok(()) => {
                    self.cleaned.queues += 1;
                    self.made.queues.remove(&(self.region.to_owned(), url.clone()));
                    self.made.removed_queues.insert(url.clone());
                }
                Err(error) => self.note_left(format_args!("queue {url}"), &error),
            }
        }
        !urls.is_empty()
    }

    async fn remove_parameters(&mut self) -> bool {
        let path = format!("{PARAMETER_PATH}{}", self.run.unwrap_or_default());
        let parameters = self.aws.parameters(self.region, &path).await;
        let names = self.listed("Parameters", parameters);
        for name in &names {
            match self.aws.delete_parameter(self.region, name).await {
                Ok(()) => self.cleaned.parameters += 1,
                Err(error) => self.note_left(format_args!("parameter {name}"), &error),
            }
        }
        !names.is_empty()
    }

    async fn remove_reports(&mut self) -> bool {
        let mut found = false;
        for report in self.find("DescribeImageUsageReports", "imageUsageReportSet", Parameters::default()).await {
            let id = report.text_of("reportId").unwrap_or_default();
            let answer =
                self.aws.ec2(self.region, "DeleteImageUsageReport", &Parameters::default().with("ReportId", id)).await;
            found = true;
            match answer {
                Ok(_) => self.cleaned.reports += 1,
                Err(error) => self.note_left(id, &error),
            }
        }
        found
    }

    async fn remove_images(&mut self) -> bool {
        let parameters = self.of_run(Parameters::default().with("Owner.1", "self").with("IncludeDisabled", "true"));
        let seen = self.find("DescribeImages", "imagesSet", parameters).await;
        let is_live = |image: &&Element| image.text_of("imageState") != Some("deregistered");
        let mut ids: BTreeSet<String> =
            seen.iter().filter(is_live).filter_map(|image| image.text_of("imageId")).map(str::to_owned).collect();
        ids.retain(|id| !self.made.removed_images.contains(id));
        ids.extend(self.made.images.iter().filter(|(region, ..)| region == self.region).map(|(_, id, _)| id.clone()));
        let mut found = false;
        for id in ids {
            found = true;
            self.remove_image(&id).await;
        }
        found
    }

    async fn remove_image(&mut self, id: &str) {
        let parameters = Parameters::default().with("ImageId", id).with("DeleteAssociatedSnapshots", "true");
        let mut answer = self.aws.ec2(self.region, "DeregisterImage", &parameters).await;
        // The courier's role protected it.
        if answer.as_ref().is_err_and(|error| error.code() == Some("OperationNotPermitted")) {
            let image = Parameters::default().with("ImageId", id);
            if self.aws.ec2(self.region, "DisableImageDeregistrationProtection", &image).await.is_ok() {
                answer = self.aws.ec2(self.region, "DeregisterImage", &parameters).await;
            }
        }
        match answer {
            Ok(_) => {
                self.cleaned.images += 1;
                self.forget(id);
            }
            // Too young to be visible, or gone.
            Err(error) if error.code().is_some_and(|code| code.starts_with("InvalidAMIID.")) => {
                let now = self.aws.clock().elapsed();
                let known = self.made.images.iter().find(|(_, known, _)| known == id);
                if known.is_none_or(|(_, _, accepted_at)| now >= *accepted_at + GIVE_UP_AFTER) {
                    self.forget(id);
                }
            }
            Err(error) => self.note_left(id, &error),
        }
    }

    fn forget(&mut self, id: &str) {
        self.made.images.retain(|(_, known, _)| known != id);
        self.made.removed_images.insert(id.to_owned());
    }

    async fn remove_snapshots(&mut self) -> bool {
        let parameters = self.of_run(Parameters::default().with("Owner.1", "self"));
        let seen = self.find("DescribeSnapshots", "snapshotSet", parameters).await;
        let mut ids: BTreeSet<String> =
            seen.iter().filter_map(|snapshot| snapshot.text_of("snapshotId")).map(str::to_owned).collect();
        ids.extend(self.made.snapshots.iter().filter(|(region, _)| region == self.region).map(|(_, id)| id.clone()));
        let mut found = false;
        for id in ids {
            let answer =
                self.aws.ec2(self.region, "DeleteSnapshot", &Parameters::default().with("SnapshotId", &id)).await;
            found = true;
            match answer {
                Ok(_) => self.cleaned.snapshots += 1,
                Err(error) if error.code() == Some("InvalidSnapshot.NotFound") => {}
                Err(error) => {
                    self.note_left(&id, &error);
                    continue;
                }
            }
            self.made.snapshots.remove(&(self.region.to_owned(), id));
        }
        found
    }
}
