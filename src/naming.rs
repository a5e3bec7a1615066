//! Name templates: `COPY_NAME`, `COPY_DESCRIPTION` and `PARAMETER_NAME` say what the copy is called in terms of its source.

use std::fmt;

use time::OffsetDateTime;
use time::macros::format_description;

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

/// A source AMI that lacks what a template asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the source AMI has no {}", self.0)
    }
}

impl Template {
    /// `{name}`: the copy is called as its source is.
    #[must_use]
    pub fn name() -> Self {
        Self(vec![Part::Name])
    }

    /// `None` where a brace is not closed or a placeholder is unknown.
    #[must_use]
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

    /// Whether the text around the placeholders has only such characters.
    #[must_use]
    pub fn is_written_with(&self, allowed: impl Fn(char) -> bool) -> bool {
        self.0.iter().all(|part| match part {
            Part::Literal(text) => text.chars().all(&allowed),
            _ => true,
        })
    }

    /// The text for this source AMI in `region`. `{created}` is its creation time as `20260131-093000`, in UTC.
    ///
    /// # Errors
    /// What the source AMI does not have.
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
                    filled.push_str(source.tags.get(key).ok_or_else(|| Missing(format!("tag `{key}`")))?);
                }
            }
        }
        Ok(filled)
    }
}

fn compact(time: OffsetDateTime) -> String {
    let format = format_description!("[year][month][day]-[hour][minute][second]");
    // Formatting these plain numbers has nothing that can fail.
    time.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;
    use crate::image::State;

    fn source() -> Image {
        Image {
            id: "ami-0abcdef1234567890".parse().unwrap(),
            name: "golden-1".to_owned(),
            description: None,
            owner: "123456789012".parse().ok(),
            state: State::Available,
            state_reason: None,
            created: Some(datetime!(2026-01-31 23:30:05 -01:30)),
            deprecated_from: None,
            last_launched: None,
            protected: false,
            tags: [("Build Id".to_owned(), "{name}".to_owned())].into(),
            volumes: Vec::new(),
            source: None,
        }
    }

    fn filled(template: &str) -> Result<String, String> {
        let template = Template::parse(template).unwrap_or_else(|| panic!("{template} is refused"));
        template.fill(&source(), &"us-east-1".parse().unwrap()).map_err(|missing| missing.to_string())
    }

    #[test]
    fn each_placeholder_is_of_the_source_ami_and_a_time_is_in_utc() {
        for (template, expected) in [
            ("", ""),
            ("golden", "golden"),
            ("{name}", "golden-1"),
            ("{image_id}{region}", "ami-0abcdef1234567890us-east-1"),
            ("a {account} b {created} c", "a 123456789012 b 20260201-010005 c"),
        ] {
            assert_eq!(filled(template).unwrap(), expected);
        }
        assert_eq!(filled("{tag:Build Id}").unwrap(), "{name}", "what a tag says is not read as a template");
    }

    #[test]
    fn what_the_source_lacks_is_named() {
        assert_eq!(filled("{tag:Role}").unwrap_err(), "the source AMI has no tag `Role`");
        let bare = Image { owner: None, created: None, ..source() };
        let missing = |text| Template::parse(text).unwrap().fill(&bare, &"us-east-1".parse().unwrap()).unwrap_err();
        assert_eq!(missing("{account}").to_string(), "the source AMI has no owner");
        assert_eq!(missing("{created}").to_string(), "the source AMI has no creation time");
    }

    #[test]
    fn an_unknown_placeholder_and_a_brace_that_stands_alone_are_refused() {
        for bad in
            ["{", "}", "{}", "{Name}", "{ name }", "{tag}", "{tag:}", "a}b{name}", "{name}}", "{{name}}", "{name"]
        {
            assert_eq!(Template::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_text_around_placeholders_is_all_that_is_checked_for_its_characters() {
        let plain = |text: &str| Template::parse(text).unwrap().is_written_with(|c| c.is_ascii_alphanumeric());
        assert!(plain("a{name}b{tag:Build Id}") && !plain("a-{name}") && !plain("{name}-"));
    }

    proptest! {
        #[test]
        fn text_without_braces_is_filled_in_as_it_is(text in "[^{}]{0,200}") {
            prop_assert_eq!(filled(&text).unwrap(), text);
        }
    }
}
