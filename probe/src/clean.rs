//! Removes what a run made: by the ids that it knows, and by the tag or the name that everything has.
//!
//! EC2 shows a new AMI late, so a look that finds nothing proves little. It looks until two looks in a row find nothing and every known
//! id is gone, and, if there may be AMIs whose id nobody knows, for as long as an AMI can be invisible.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use aws_sdk_ec2::types::{Filter, ImageState, Tag};
use aws_sdk_ssm::types::ParameterStringFilter;

use crate::aws::{Aws, CallError};
use crate::lab::{Kind, Made, NAME_PREFIX, PATH, ROLE_POLICY, RUN_TAG, TARGET, VISIBLE_WITHIN};

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
    pub removed: BTreeMap<Kind, usize>,
    /// What was not looked for, with the reason.
    pub notes: BTreeSet<String>,
    /// What could not be removed, with the reason.
    pub left: Vec<String>,
}

impl fmt::Display for Cleaned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))?;
        let removed: Vec<String> = self.removed.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        write!(f, "Removed: {}. ", if removed.is_empty() { "nothing".to_owned() } else { removed.join(", ") })?;
        if self.left.is_empty() {
            return f.write_str("Nothing is left.");
        }
        write!(f, "Not removed:")?;
        self.left.iter().try_for_each(|left| write!(f, "\n  {left}"))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Role => "roles",
            Kind::Parameter => "parameters",
            Kind::Rule => "rules",
            Kind::Queue => "queues",
            Kind::UsageReport => "usage reports",
            Kind::Image => "AMIs with their snapshots",
            Kind::Snapshot => "other snapshots",
        })
    }
}

/// Removes all of it.
pub async fn clean(aws: &Aws, leftovers: &Leftovers) -> Cleaned {
    let mut sweep =
        Sweep { aws, run: leftovers.run.as_deref(), made: leftovers.made.clone(), cleaned: Cleaned::default() };
    let begun = aws.elapsed();
    let mut empty_looks = 0;
    loop {
        sweep.cleaned.left.clear();
        let mut is_found = false;
        for region in &leftovers.regions {
            for kind in &leftovers.made.kinds {
                is_found |= sweep.remove_all(*kind, region).await;
            }
        }
        empty_looks = if is_found || !sweep.cleaned.left.is_empty() { 0 } else { empty_looks + 1 };
        let waited = aws.elapsed().saturating_sub(begun);
        let is_certain = !leftovers.made.is_uncertain || waited >= VISIBLE_WITHIN;
        if (empty_looks >= 2 && is_certain) || waited >= GIVE_UP_AFTER {
            return sweep.cleaned;
        }
        // The longer it has waited, the longer it waits for the next look.
        if let Err(error) = aws.sleep((waited / 2).max(BETWEEN_LOOKS)).await {
            sweep.cleaned.left.push(error.to_string());
            return sweep.cleaned;
        }
    }
}

/// Whether AWS says that there is no such thing. An AMI can also be too young to be visible.
fn is_gone(code: &str) -> bool {
    ["NotFound", "NoSuchEntity", "NonExistentQueue", "DoesNotExist", "InvalidAMIID."]
        .iter()
        .any(|word| code.contains(word))
}

/// The name of a rule or queue, at the end of its ARN or URL, if a run made it: the prefix, then the run's id of twelve digits.
fn name_of_a_run(id: &str) -> Option<&str> {
    let name = id.rsplit('/').next()?;
    let run = name.strip_prefix(NAME_PREFIX)?.get(..12)?;
    run.chars().all(|digit| digit.is_ascii_hexdigit()).then_some(name)
}

struct Sweep<'a> {
    aws: &'a Aws,
    run: Option<&'a str>,
    made: Made,
    cleaned: Cleaned,
}

impl Sweep<'_> {
    /// Removes what it finds of a kind in a Region, and what is known. Returns whether there was anything.
    async fn remove_all(&mut self, kind: Kind, region: &str) -> bool {
        let mut ids: BTreeSet<String> = match self.find(kind, region).await {
            Ok(found) => found.into_iter().filter(|id| !self.made.removed.contains(id)).collect(),
            // A user who may not list something has most likely made none of it.
            Err(error @ CallError::Refused { .. }) if kind < Kind::UsageReport => {
                self.cleaned.notes.insert(format!("In {region}, {kind} of the probe were not looked for: {error}"));
                BTreeSet::new()
            }
            Err(error) => {
                self.cleaned.left.push(format!("{kind} in {region}: {error}"));
                BTreeSet::new()
            }
        };
        let known = self.made.known.keys().filter(|(it, place, _)| *it == kind && place == region);
        ids.extend(known.map(|(.., id)| id.clone()));
        for id in &ids {
            match self.remove(kind, region, id).await {
                Ok(()) => {
                    *self.cleaned.removed.entry(kind).or_default() += 1;
                    self.made.remove(id);
                }
                Err(CallError::Refused { code, .. }) if is_gone(&code) => {
                    let known = self.made.known.get(&(kind, region.to_owned(), id.clone()));
                    let is_young = known.is_some_and(|made_at| self.aws.elapsed() < *made_at + GIVE_UP_AFTER);
                    if kind != Kind::Image || !is_young {
                        self.made.remove(id);
                    }
                }
                Err(error) => self.cleaned.left.push(format!("{id} in {region}: {error}")),
            }
        }
        !ids.is_empty()
    }

    /// The ids, names, ARNs or URLs of what carries the run's tag or name. What a server shows in spite of the filter is left alone.
    async fn find(&self, kind: Kind, region: &str) -> Result<Vec<String>, CallError> {
        let run = self.run.unwrap_or_default();
        let name_prefix = format!("{NAME_PREFIX}{run}");
        let ec2 = self.aws.ec2(region);
        let filter = match self.run {
            Some(run) => Filter::builder().name(format!("tag:{RUN_TAG}")).values(run).build(),
            None => Filter::builder().name("tag-key").values(RUN_TAG).build(),
        };
        Ok(match kind {
            Kind::Role => {
                let roles = self.aws.iam(region).list_roles().path_prefix(PATH).into_paginator().items().send();
                let names = roles.collect::<Result<Vec<_>, _>>().await?.into_iter().map(|role| role.role_name);
                names.filter(|name| name.ends_with(run)).collect()
            }
            Kind::Parameter => {
                let of_run = ParameterStringFilter::builder().key("Name").option("BeginsWith");
                let of_run = of_run.values(format!("{PATH}{run}")).build().map_err(CallError::invalid)?;
                let call = self.aws.ssm(region).describe_parameters().parameter_filters(of_run);
                let found = call.into_paginator().send().collect::<Result<Vec<_>, _>>().await?;
                found
                    .into_iter()
                    .flat_map(|page| page.parameters.unwrap_or_default())
                    .filter_map(|it| it.name)
                    .collect()
            }
            Kind::Rule => {
                let mut arns = Vec::new();
                let mut next = None;
                loop {
                    let call = self.aws.events(region).list_rules().name_prefix(&name_prefix).set_next_token(next);
                    let page = call.send().await?;
                    arns.extend(page.rules.into_iter().flatten().filter_map(|rule| rule.arn));
                    next = page.next_token;
                    if next.is_none() {
                        break;
                    }
                }
                arns.retain(|arn| name_of_a_run(arn).is_some());
                arns
            }
            Kind::Queue => {
                let call = self.aws.sqs(region).list_queues().queue_name_prefix(&name_prefix).send();
                let urls = call.await?.queue_urls.unwrap_or_default();
                urls.into_iter().filter(|url| name_of_a_run(url).is_some()).collect()
            }
            Kind::UsageReport => {
                let call = ec2.describe_image_usage_reports().into_paginator().items().send();
                let found = call.collect::<Result<Vec<_>, _>>().await?.into_iter();
                found.filter(|it| self.is_ours(it.tags())).filter_map(|it| it.report_id).collect()
            }
            Kind::Image => {
                let call = ec2.describe_images().owners("self").include_disabled(true).filters(filter);
                let found = call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await?.into_iter();
                let live = found.filter(|it| self.is_ours(it.tags()) && it.state() != Some(&ImageState::Deregistered));
                live.filter_map(|it| it.image_id).collect()
            }
            Kind::Snapshot => {
                let call = ec2.describe_snapshots().owner_ids("self").filters(filter).into_paginator().items().send();
                let found = call.collect::<Result<Vec<_>, _>>().await?.into_iter();
                found.filter(|it| self.is_ours(it.tags())).filter_map(|it| it.snapshot_id).collect()
            }
        })
    }

    fn is_ours(&self, tags: &[Tag]) -> bool {
        tags.iter().any(|tag| tag.key() == Some(RUN_TAG) && self.run.is_none_or(|run| tag.value() == Some(run)))
    }

    async fn remove(&self, kind: Kind, region: &str, id: &str) -> Result<(), CallError> {
        let ec2 = self.aws.ec2(region);
        match kind {
            Kind::Role => {
                let iam = self.aws.iam(region);
                let policy = iam.delete_role_policy().role_name(id).policy_name(ROLE_POLICY);
                unless_gone(policy.send().await)?;
                iam.delete_role().role_name(id).send().await?;
            }
            Kind::Parameter => drop(self.aws.ssm(region).delete_parameter().name(id).send().await?),
            Kind::Rule => {
                let (events, name) = (self.aws.events(region), name_of_a_run(id).unwrap_or(id));
                unless_gone(events.remove_targets().rule(name).ids(TARGET).send().await)?;
                events.delete_rule().name(name).send().await?;
            }
            Kind::Queue => drop(self.aws.sqs(region).delete_queue().queue_url(id).send().await?),
            Kind::UsageReport => drop(ec2.delete_image_usage_report().report_id(id).send().await?),
            Kind::Image => {
                let call = ec2.deregister_image().image_id(id).delete_associated_snapshots(true);
                match call.clone().send().await.map_err(CallError::from) {
                    // The courier's role protected it.
                    Err(error) if error.code() == Some("OperationNotPermitted") => {
                        ec2.disable_image_deregistration_protection().image_id(id).send().await?;
                        call.send().await?;
                    }
                    answer => drop(answer?),
                }
            }
            Kind::Snapshot => drop(ec2.delete_snapshot().snapshot_id(id).send().await?),
        }
        Ok(())
    }
}

/// What was not put yet, or is gone, is no error.
fn unless_gone<T>(answer: Result<T, impl Into<CallError>>) -> Result<(), CallError> {
    match answer.map_err(Into::into) {
        Err(error) if !error.code().is_some_and(is_gone) => Err(error),
        _ => Ok(()),
    }
}
