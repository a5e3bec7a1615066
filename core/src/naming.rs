//! Name templates: `COPY_NAME`, `COPY_DESCRIPTION` and `PARAMETER_NAME` are texts with placeholders for what the source AMI has.

use std::fmt;

use time::OffsetDateTime;
use time::macros::format_description;
use wildmatch::WildMatch;

use crate::identity::Region;
use crate::image::Image;

/// Text with placeholders, checked when the function starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Name,
    ImageId,
    Region,
    Account,
    Created,
    Tag(String),
}

/// What a template may contain.
pub const PLACEHOLDERS: &str = "text with the placeholders `{name}`, `{image_id}`, `{region}`, `{account}`, `{created}` and `{tag:KEY}`, all of the source AMI";

/// What a template needs and the source AMI does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the source AMI has no {}", self.0)
    }
}

impl std::error::Error for Missing {}

impl Template {
    /// `{name}`: the copy has the name of its source.
    pub fn name() -> Self {
        Self(vec![Part::Name])
    }

    /// `None` if a brace has no partner or a placeholder is unknown.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            let (placeholder, behind) = after.split_once('}')?;
            if literal.contains('}') {
                return None;
            }
            parts.push(Part::Literal(literal.to_owned()));
            parts.push(match placeholder {
                "name" => Part::Name,
                "image_id" => Part::ImageId,
                "region" => Part::Region,
                "account" => Part::Account,
                "created" => Part::Created,
                other => Part::Tag(other.strip_prefix("tag:").filter(|key| !key.is_empty())?.to_owned()),
            });
            rest = behind;
        }
        if rest.contains('}') {
            return None;
        }
        parts.push(Part::Literal(rest.to_owned()));
        Some(Self(parts))
    }

    /// Whether the text around the placeholders has only allowed characters.
    pub fn is_written_with(&self, allowed: impl Fn(char) -> bool) -> bool {
        self.0.iter().all(|part| match part {
            Part::Literal(text) => text.chars().all(&allowed),
            _ => true,
        })
    }

    /// Whether it can make this text for some source AMI. `text` and the text around the placeholders have no `*` and no `?`.
    pub fn can_make(&self, text: &str) -> bool {
        let pattern: String =
            self.0.iter().map(|part| if let Part::Literal(literal) = part { literal } else { "*" }).collect();
        WildMatch::new(&pattern).matches(text)
    }

    /// The text for this source AMI in `region`. `{created}` becomes its creation time in UTC, as `20260131-093000`.
    ///
    /// ```
    /// use courier_core::image::Image;
    /// use courier_core::naming::Template;
    ///
    /// let source = Image { name: "golden".to_owned(), ..Image::new("ami-5731123e".parse()?) };
    /// let template = Template::parse("{name}-{region}").expect("a template");
    /// assert_eq!(template.fill(&source, &"us-east-1".parse()?)?, "golden-us-east-1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fill(&self, source: &Image, region: &Region) -> Result<String, Missing> {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => filled.push_str(text),
                Part::Name => filled.push_str(&source.name),
                Part::ImageId => filled.push_str(source.id.as_str()),
                Part::Region => filled.push_str(region.as_str()),
                Part::Account => {
                    let owner = source.owner.as_ref().ok_or_else(|| Missing("owner".to_owned()))?;
                    filled.push_str(owner.as_str());
                }
                Part::Created => {
                    let created = source.created.ok_or_else(|| Missing("creation time".to_owned()))?;
                    filled.push_str(&compact(created));
                }
                Part::Tag(key) => {
                    filled.push_str(source.tag(key).ok_or_else(|| Missing(format!("tag `{key}`")))?);
                }
            }
        }
        Ok(filled)
    }
}

fn compact(time: OffsetDateTime) -> String {
    let format = format_description!("[year][month][day]-[hour][minute][second]");
    // Formatting numbers into a string cannot fail.
    time.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_default()
}
