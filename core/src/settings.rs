//! The environment variables, their defaults and their checks.
//!
//! An invalid value stops the function before its first message: a wrong setting must never lead to a wrong copy.

use std::fmt;

use wildmatch::WildMatch;

use crate::copy_image::{AmiName, CompletionMinutes, Encryption, KmsKey, Tag};
use crate::identity::{AccountId, Region, shortened};
use crate::image::tag::is_couriers;
use crate::naming::{PLACEHOLDERS, Template};
use crate::region;

/// The settings of a stack.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The Region of this stack: the destination of every copy.
    pub stack_region: Region,
    pub sources: Sources,
    pub copying: Copying,
    pub finishing: Finishing,
    pub requests: Requests,
    /// Keep copies in step with their source and the settings for as long as they live; else a copy is finished once.
    pub reconcile: bool,
    /// Take away permissions that `SHARE_WITH` does not name.
    pub share_exactly: bool,
    /// Deregister a copy once its source is deregistered.
    pub retire_with_source: bool,
    /// Days between finding its source deregistered and retiring a copy.
    pub retire_after_days: u16,
    /// The sweep copies AMIs up to this age, in days.
    pub backfill_days: u16,
    /// Whether the stack has a schedule of sweeps. Without one, what nobody finishes has to become a dead letter.
    pub sweeps: bool,
    pub queue_url: Option<String>,
    pub dead_letter_queue_url: Option<String>,
}

/// Which source AMIs are wanted.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Empty: any Region but the stack's own. The stack's own Region stands for the AMIs of other accounts there.
    pub regions: Vec<Region>,
    pub owners: Vec<Owner>,
    /// One of these matches the name of a wanted AMI.
    pub name_patterns: Vec<WildMatch>,
    /// None of these does. Never part of EC2's filters: those select what they name.
    pub excluded_names: Vec<WildMatch>,
    /// A wanted AMI has all of these tags.
    pub required_tags: Vec<TagRule>,
    /// It has none of these.
    pub excluded_tags: Vec<TagRule>,
    /// Each as `account:name`.
    pub required_watermarks: Vec<String>,
    pub image_builder: ImageBuilder,
}

impl Sources {
    /// Whose AMIs of `region` are wanted: of the stack's own Region, those of other accounts only.
    pub fn owners_in(&self, region: &Region, stack_region: &Region) -> Vec<Owner> {
        let is_source = |owner: &&Owner| region != stack_region || **owner != Owner::Myself;
        self.owners.iter().filter(is_source).cloned().collect()
    }

    /// Whether AMIs of other accounts are trusted.
    pub fn trust_others(&self) -> bool {
        self.owners.iter().any(|owner| *owner != Owner::Myself)
    }
}

/// How a copy is made.
#[derive(Clone, Debug)]
pub struct Copying {
    pub name: Template,
    pub description: Option<Template>,
    pub encryption: Encryption,
    pub copy_tags: bool,
    pub extra_tags: Vec<Tag>,
    /// Whether copies are shared with others: then they have an origin tag.
    pub is_shared: bool,
    pub completion: Option<CompletionMinutes>,
    pub dry_run: bool,
    /// Whose copies these are: the value of their tag `ami-courier:stack`.
    pub stack_name: String,
}

/// What is done once a copy is available.
#[derive(Clone, Debug)]
pub struct Finishing {
    pub share_with: Vec<Principal>,
    pub deprecate: Deprecate,
    pub protection: Protection,
    pub parameter_name: Option<Template>,
    /// `None`: the courier sends no events.
    pub event_bus: Option<String>,
}

impl Finishing {
    /// Whether copies are made public.
    pub fn is_public(&self) -> bool {
        self.share_with.contains(&Principal::Everybody)
    }
}

/// An account whose AMIs are trusted, as EC2's `Owner` parameter takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    Myself,
    Account(AccountId),
}

impl Owner {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Myself => "self",
            Self::Account(account) => account.as_str(),
        }
    }

    /// Whether it stands for this account. `own`: the function's, where that is known.
    pub fn is(&self, account: &AccountId, own: Option<&AccountId>) -> bool {
        match self {
            Self::Myself => own == Some(account),
            Self::Account(named) => named == account,
        }
    }
}

/// A tag of a source AMI, in `REQUIRED_TAGS`; `None`: with any value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRule {
    pub key: String,
    pub value: Option<String>,
}

impl TagRule {
    /// Only compared, never set: so AWS's own tags may be named as well.
    fn parse(text: &str) -> Option<Self> {
        let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
        let fits = (1..=128).contains(&key.chars().count()) && value.is_none_or(|value| value.chars().count() <= 256);
        fits.then(|| Self { key: key.to_owned(), value: value.map(str::to_owned) })
    }
}

impl fmt::Display for TagRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

/// Which requests are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requests {
    /// Those for AMIs that the selection allows.
    Selected,
    /// All. A copy past the selection is never shared nor published.
    Any,
    Off,
}

/// When to copy an AMI that EC2 Image Builder made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageBuilder {
    /// After Image Builder reports that its tests passed.
    Tested,
    /// As soon as it is available.
    Any,
}

/// Who may use the copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// The copy is public.
    Everybody,
    Account(AccountId),
    Organization(String),
    OrganizationalUnit(String),
}

impl Principal {
    /// Whether a snapshot can be shared with it: organizations cannot be named there.
    pub fn is_for_snapshots(&self) -> bool {
        matches!(self, Self::Everybody | Self::Account(_))
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Everybody => EVERYBODY,
            Self::Account(account) => account.as_str(),
            Self::Organization(arn) | Self::OrganizationalUnit(arn) => arn,
        }
    }
}

/// When the copy is deprecated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deprecate {
    /// At the deprecation time of its source.
    Source,
    Never,
    /// This many days after the copy was made.
    Days(u16),
}

/// Whether the copy is protected from being deregistered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    Off,
    On,
    WithCooldown,
}

/// An invalid setting: the variable, its value and the accepted forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongSetting {
    pub variable: &'static str,
    pub value: String,
    /// Of a list, the item that is not valid.
    pub item: Option<String>,
    pub accepted: String,
}

impl WrongSetting {
    pub fn new(variable: &'static str, value: impl Into<String>, accepted: impl Into<String>) -> Self {
        Self { variable, value: value.into(), item: None, accepted: accepted.into() }
    }
}

impl fmt::Display for WrongSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, value, item, accepted } = self;
        write!(f, "{variable} is `{}`, ", shortened(value))?;
        match item.as_deref().filter(|item| item != value) {
            None => f.write_str("which is not valid"),
            Some("") => f.write_str("which has an empty item"),
            Some(item) => write!(f, "of which `{}` is not valid", shortened(item)),
        }?;
        write!(f, "; accepted: {accepted}")
    }
}

impl std::error::Error for WrongSetting {}

impl Settings {
    /// Reads the settings through `variable`, which returns the value of an environment variable. An empty value counts as
    /// not set, except for `EVENT_BUS_NAME`, where it turns events off.
    ///
    /// ```
    /// use courier_core::settings::Settings;
    ///
    /// let variable = |name: &str| match name {
    ///     "AWS_REGION" => Some("eu-west-1".to_owned()),
    ///     "ENCRYPTED" => Some("yes".to_owned()),
    ///     _ => None,
    /// };
    /// let wrong = Settings::read(variable).unwrap_err();
    /// assert_eq!(wrong.to_string(), "ENCRYPTED is `yes`, which is not valid; accepted: `true` or `false`");
    /// ```
    ///
    /// # Errors
    /// The first invalid setting.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, WrongSetting> {
        let env = Environment(&|name| variable(name).map(|value| value.trim().to_owned()));
        let stack_region =
            env.required("AWS_REGION", "the Region that the function runs in, as Lambda sets it", |text| {
                text.parse().ok()
            })?;
        let settings = Self {
            sources: sources(&env, &stack_region)?,
            copying: copying(&env, &stack_region)?,
            finishing: finishing(&env)?,
            requests: env
                .one("REQUESTS", "`Selected`, `Any` or `Off`", |text| match text {
                    "Selected" => Some(Requests::Selected),
                    "Any" => Some(Requests::Any),
                    "Off" => Some(Requests::Off),
                    _ => None,
                })?
                .unwrap_or(Requests::Selected),
            reconcile: env.boolean("RECONCILE", true)?,
            share_exactly: env.boolean("SHARE_EXACTLY", false)?,
            retire_with_source: env.boolean("RETIRE_WITH_SOURCE", false)?,
            retire_after_days: env
                .one("RETIRE_AFTER_DAYS", "a number of days (1 to 365)", |text| {
                    text.parse().ok().filter(|days| (1..=365).contains(days))
                })?
                .unwrap_or(7),
            backfill_days: env
                .one("BACKFILL_DAYS", "a number of days (1 to 3650)", |text| {
                    text.parse().ok().filter(|days| (1..=3650).contains(days))
                })?
                .unwrap_or(7),
            sweeps: env.boolean("SWEEPS", true)?,
            queue_url: env.one("QUEUE_URL", QUEUE, url)?,
            dead_letter_queue_url: env.one("DEAD_LETTER_QUEUE_URL", QUEUE, url)?,
            stack_region,
        };
        settings.can_share()?;
        Ok(settings)
    }

    /// Whether copies come back with their source: those that were marked or disabled while another setting said so, too.
    pub fn brings_back(&self) -> bool {
        self.reconcile || self.retire_with_source
    }

    /// What may go wrong with these settings later, for the log at the start.
    pub fn warnings(&self) -> Vec<&'static str> {
        let shares = !self.finishing.share_with.is_empty() && !self.finishing.is_public();
        let by_default_key = self.copying.encryption == Encryption::DefaultKey;
        let default_key_is_shared = "SHARE_WITH is set, and copies are encrypted with the EBS default key: if that is the AWS managed \
                                     key `aws/ebs`, no copy can be shared; set KMS_KEY_ID to a customer managed key";
        let looks_nowhere = "SOURCE_REGIONS names no Region (it is empty or `any`): sweeps look for missed AMIs nowhere, and an AMI whose \
                             event is lost is never copied; name the source Regions, or turn sweeps off";
        let warnings = [
            (shares && by_default_key, default_key_is_shared),
            (self.sweeps && self.sources.regions.is_empty(), looks_nowhere),
        ];
        warnings.into_iter().filter_map(|(applies, warning)| applies.then_some(warning)).collect()
    }

    /// A copy under the AWS managed key cannot be shared, and no encrypted one can be public. The function reports that at its start,
    /// not after the first copy.
    fn can_share(&self) -> Result<(), WrongSetting> {
        match &self.copying.encryption {
            Encryption::Key(_) | Encryption::DefaultKey if self.finishing.is_public() => Err(WrongSetting::new(
                "SHARE_WITH",
                EVERYBODY,
                "with ENCRYPTED=true or KMS_KEY_ID, accounts, organizations and OUs: an encrypted AMI cannot be public",
            )),
            Encryption::Key(key) if key.is_aws_managed() && !self.finishing.share_with.is_empty() => {
                Err(WrongSetting::new(
                    "KMS_KEY_ID",
                    key.to_string(),
                    "with SHARE_WITH set, a customer managed key: a copy under the AWS managed key `aws/ebs` cannot be \
                     shared with another account",
                ))
            }
            _ => Ok(()),
        }
    }
}

/// The environment variables that [`Settings::read`] reads, without `AWS_REGION`.
pub const VARIABLES: [&str; 29] = [
    "SOURCE_REGIONS",
    "SOURCE_OWNERS",
    "NAME_PATTERNS",
    "REQUIRED_TAGS",
    "REQUIRED_WATERMARKS",
    "REQUESTS",
    "RECONCILE",
    "SHARE_EXACTLY",
    "STACK_NAME",
    "IMAGE_BUILDER",
    "COPY_NAME",
    "COPY_DESCRIPTION",
    "ENCRYPTED",
    "KMS_KEY_ID",
    "COPY_TAGS",
    "EXTRA_TAGS",
    "SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES",
    "DRY_RUN",
    "SHARE_WITH",
    "DEPRECATE",
    "DEREGISTRATION_PROTECTION",
    "PARAMETER_NAME",
    "EVENT_BUS_NAME",
    "RETIRE_WITH_SOURCE",
    "RETIRE_AFTER_DAYS",
    "BACKFILL_DAYS",
    "SWEEPS",
    "QUEUE_URL",
    "DEAD_LETTER_QUEUE_URL",
];

const QUEUE: &str = "the URL of an SQS queue";

fn url(text: &str) -> Option<String> {
    (text.starts_with("https://") || text.starts_with("http://")).then(|| text.to_owned())
}

fn sources(env: &Environment, stack_region: &Region) -> Result<Sources, WrongSetting> {
    const REGIONS: &str = "Regions of the function's partition, separated by commas (such as `us-east-1,us-west-2`), or `any`; to \
                           use only the function's own Region, name other accounts in SOURCE_OWNERS";
    let regions: Vec<Region> = match (env.0)("SOURCE_REGIONS").as_deref() {
        Some("any") => Vec::new(),
        _ => env.list("SOURCE_REGIONS", REGIONS, |text| {
            text.parse().ok().filter(|region: &Region| region.partition() == stack_region.partition())
        })?,
    };
    if let Some(unknown) = regions.iter().find(|region| region::check(region).is_err()) {
        let accepted =
            format!("Regions that exist; there is no `{unknown}`, did you mean `{}`?", region::nearest(unknown));
        return Err(env.wrong("SOURCE_REGIONS", &accepted));
    }
    let owners =
        env.list("SOURCE_OWNERS", "`self` and account ids of 12 digits, separated by commas", |text| match text {
            "self" => Some(Owner::Myself),
            account => account.parse().ok().map(Owner::Account),
        })?;
    let trusts_others = owners.iter().any(|owner| *owner != Owner::Myself);
    // The stacks of all Regions can use the same list: without other accounts, nothing can be copied from the own Region.
    let is_source = |region: &&Region| trusts_others || *region != stack_region;
    let usable: Vec<Region> = regions.iter().filter(is_source).cloned().collect();
    if usable.is_empty() && !regions.is_empty() {
        return Err(env.wrong("SOURCE_REGIONS", REGIONS));
    }
    let (patterns, excluded_names) = with_exclusions(env.list("NAME_PATTERNS", NAME_PATTERNS, |text| {
        excluded_or_not(text, |glob| {
            let plain = |c: char| AmiName::may_contain(c) || "*?".contains(c);
            (!glob.is_empty() && glob.chars().all(plain)).then(|| WildMatch::new(glob))
        })
    })?);
    let (required_tags, excluded_tags) =
        with_exclusions(env.list("REQUIRED_TAGS", REQUIRED_TAGS, |text| excluded_or_not(text, TagRule::parse))?);
    Ok(Sources {
        regions: usable,
        owners: if owners.is_empty() { vec![Owner::Myself] } else { owners },
        name_patterns: if patterns.is_empty() { vec![WildMatch::new("*")] } else { patterns },
        excluded_names,
        required_tags,
        excluded_tags,
        required_watermarks: env.list("REQUIRED_WATERMARKS", WATERMARKS, |text| {
            let (account, name) = text.split_once(':')?;
            let is_name = !name.is_empty() && name.chars().all(|c| !c.is_control());
            (account.parse::<AccountId>().is_ok() && is_name).then(|| text.to_owned())
        })?,
        image_builder: env
            .one("IMAGE_BUILDER", "`Tested` or `Any`", |text| match text {
                "Tested" => Some(ImageBuilder::Tested),
                "Any" => Some(ImageBuilder::Any),
                _ => None,
            })?
            .unwrap_or(ImageBuilder::Tested),
    })
}

const NAME_PATTERNS: &str = "globs of AMI names, separated by commas (such as `golden-*,base-????`); one that begins with `!` excludes (`!*-debug`)";
const REQUIRED_TAGS: &str =
    "`Key=Value` or `Key`, separated by commas; one that begins with `!` excludes (`!temporary`, `!stage=test`)";

/// A rule of selection: `!RULE` excludes what RULE names.
struct Rule<T> {
    excludes: bool,
    rule: T,
}

fn excluded_or_not<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Rule<T>> {
    let excluded = text.strip_prefix('!');
    parse(excluded.unwrap_or(text)).map(|rule| Rule { excludes: excluded.is_some(), rule })
}

/// What selects, and what excludes.
fn with_exclusions<T>(rules: Vec<Rule<T>>) -> (Vec<T>, Vec<T>) {
    let (excluding, selecting): (Vec<_>, Vec<_>) = rules.into_iter().partition(|rule| rule.excludes);
    let rules = |of: Vec<Rule<T>>| of.into_iter().map(|Rule { rule, .. }| rule).collect();
    (rules(selecting), rules(excluding))
}

const WATERMARKS: &str = "watermarks as `account:name`, separated by commas (such as `123456789012:scanned`)";

fn copying(env: &Environment, stack_region: &Region) -> Result<Copying, WrongSetting> {
    let key: Option<KmsKey> =
        env.one("KMS_KEY_ID", &format!("{}, of {stack_region}", KmsKey::RULE), |text| text.parse().ok())?;
    if let Some(other) = key.as_ref().and_then(|key| key.region_if_not(stack_region)) {
        return Err(env.wrong("KMS_KEY_ID", &format!("a key of {stack_region}; this key is in {other}")));
    }
    let encryption = match (key, env.flag("ENCRYPTED")?) {
        (Some(_), Some(false)) => {
            return Err(
                env.wrong("ENCRYPTED", "with KMS_KEY_ID set, `true` or not set, since a key encrypts every copy")
            );
        }
        (Some(key), _) => Encryption::Key(key),
        (None, Some(true)) => Encryption::DefaultKey,
        // `false` means as the source: a copy of an encrypted AMI is always encrypted.
        (None, _) => Encryption::AsSource,
    };
    Ok(Copying {
        name: env
            .one("COPY_NAME", &format!("{PLACEHOLDERS}, that makes {}", AmiName::RULE), |text| {
                Template::parse(text).filter(|template| template.is_written_with(AmiName::may_contain))
            })?
            .unwrap_or_else(Template::name),
        description: env.one("COPY_DESCRIPTION", PLACEHOLDERS, Template::parse)?,
        encryption,
        copy_tags: env.boolean("COPY_TAGS", true)?,
        extra_tags: extra_tags(env)?,
        is_shared: !env.list("SHARE_WITH", PRINCIPALS, principal)?.is_empty(),
        completion: env.one("SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES", CompletionMinutes::RULE, |text| {
            text.parse().ok().and_then(CompletionMinutes::new)
        })?,
        dry_run: env.boolean("DRY_RUN", false)?,
        stack_name: env
            .one("STACK_NAME", "a name of 1 to 128 letters, digits and hyphens", |text| {
                let fits = text.len() <= 128 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
                fits.then(|| text.to_owned())
            })?
            .unwrap_or_else(|| "ami-courier".to_owned()),
    })
}

fn extra_tags(env: &Environment) -> Result<Vec<Tag>, WrongSetting> {
    const VARIABLE: &str = "EXTRA_TAGS";
    const ACCEPTED: &str =
        "`Key=Value`, separated by commas, keys distinct and not of `aws:` or `ami-courier:`, at most 38";
    let tags = env.list(VARIABLE, ACCEPTED, |text| {
        let (key, value) = text.split_once('=')?;
        Tag::new(key, value).ok().filter(|tag| !is_couriers(&tag.key))
    })?;
    let distinct = tags.iter().enumerate().all(|(i, tag)| tags[..i].iter().all(|other| other.key != tag.key));
    if distinct && tags.len() <= Tag::MOST_OF_USERS { Ok(tags) } else { Err(env.wrong(VARIABLE, ACCEPTED)) }
}

const PRINCIPALS: &str = "account ids of 12 digits, organization ARNs (`arn:…:organizations::…:organization/o-…`) and OU ARNs \
                          (`…:ou/o-…/ou-…`), separated by commas; or `all` alone, for public copies";
/// In `SHARE_WITH`: the copies are public.
const EVERYBODY: &str = "all";

fn share_with(env: &Environment) -> Result<Vec<Principal>, WrongSetting> {
    let principals = env.list("SHARE_WITH", PRINCIPALS, principal)?;
    // Beside everybody, any other name says nothing, or that a person means something else.
    if principals.len() > 1 && principals.contains(&Principal::Everybody) {
        return Err(env.wrong("SHARE_WITH", PRINCIPALS));
    }
    Ok(principals)
}

fn finishing(env: &Environment) -> Result<Finishing, WrongSetting> {
    Ok(Finishing {
        share_with: share_with(env)?,
        deprecate: env
            .one("DEPRECATE", "`Source`, `Never` or a number of days (1 to 3650)", |text| match text {
                "Source" => Some(Deprecate::Source),
                "Never" => Some(Deprecate::Never),
                days => days.parse().ok().filter(|days| (1..=3650).contains(days)).map(Deprecate::Days),
            })?
            .unwrap_or(Deprecate::Source),
        protection: env
            .one("DEREGISTRATION_PROTECTION", "`Off`, `On` or `WithCooldown`", |text| match text {
                "Off" => Some(Protection::Off),
                "On" => Some(Protection::On),
                "WithCooldown" => Some(Protection::WithCooldown),
                _ => None,
            })?
            .unwrap_or(Protection::Off),
        parameter_name: env.one(
            "PARAMETER_NAME",
            &format!(
                "{PLACEHOLDERS}, that makes a parameter's name (letters, digits and `._/-`) whose first part is literal, so that no \
                 tag of an AMI can choose another team's parameter"
            ),
            |text| {
                let plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
                let named = text.trim_start_matches('/');
                let first_part_is_literal = !named.starts_with('{')
                    && (!named.contains('{') || named.split('/').next().is_some_and(|part| !part.contains('{')));
                Template::parse(text).filter(|template| first_part_is_literal && template.is_written_with(plain))
            },
        )?,
        event_bus: match (env.0)("EVENT_BUS_NAME") {
            None => Some("default".to_owned()),
            Some(nowhere) if nowhere.is_empty() => None,
            Some(bus) => {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-:".contains(&b);
                if bus.len() > 1600 || !bus.bytes().all(plain) {
                    return Err(env.wrong("EVENT_BUS_NAME", "the name or ARN of an event bus, or an empty value for no events"));
                }
                Some(bus)
            }
        },
    })
}

fn principal(text: &str) -> Option<Principal> {
    if text == EVERYBODY {
        return Some(Principal::Everybody);
    }
    if let Ok(account) = text.parse() {
        return Some(Principal::Account(account));
    }
    let (_, resource) = text.strip_prefix("arn:aws")?.split_once(":organizations::")?;
    let (_, resource) = resource.split_once(':')?;
    match resource.split('/').collect::<Vec<_>>().as_slice() {
        ["organization", organization] if organization.starts_with("o-") => {
            Some(Principal::Organization(text.to_owned()))
        }
        ["ou", organization, unit] if organization.starts_with("o-") && unit.starts_with("ou-") => {
            Some(Principal::OrganizationalUnit(text.to_owned()))
        }
        _ => None,
    }
}

/// The environment variables, and the error for a wrong one.
struct Environment<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Environment<'_> {
    fn wrong(&self, variable: &'static str, accepted: &str) -> WrongSetting {
        WrongSetting::new(variable, (self.0)(variable).unwrap_or_default(), accepted)
    }

    fn one<T>(
        &self,
        variable: &'static str,
        accepted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, WrongSetting> {
        match (self.0)(variable).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => parse(&value).map(Some).ok_or_else(|| self.wrong(variable, accepted)),
        }
    }

    fn required<T>(
        &self,
        variable: &'static str,
        accepted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, WrongSetting> {
        self.one(variable, accepted, parse)?.ok_or_else(|| self.wrong(variable, accepted))
    }

    fn list<T>(
        &self,
        variable: &'static str,
        accepted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, WrongSetting> {
        let Some(value) = (self.0)(variable).filter(|value| !value.is_empty()) else { return Ok(Vec::new()) };
        let items = value.split(',').map(str::trim);
        let wrong = |item: &str| WrongSetting { item: Some(item.to_owned()), ..self.wrong(variable, accepted) };
        items.map(|item| parse(item).ok_or_else(|| wrong(item))).collect()
    }

    fn flag(&self, variable: &'static str) -> Result<Option<bool>, WrongSetting> {
        self.one(variable, "`true` or `false`", |text| text.parse().ok())
    }

    fn boolean(&self, variable: &'static str, default: bool) -> Result<bool, WrongSetting> {
        Ok(self.flag(variable)?.unwrap_or(default))
    }
}
