//! A document of a known shape, whose fields are looked up by name.
//!
//! Other people's messages are read only where something is needed from them. What is not as documented is told
//! with the field, what was seen, what is expected and the page that says so.

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::error::{Rejection, code};
use crate::identity::{Malformed, shortened};

/// What a document is taken for.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    /// The page that documents it.
    pub(super) page: &'static str,
}

/// An object of some shape. A path is dotted: `detail.state.status`; `null` is the same as absent.
pub(super) struct Document<'a> {
    shape: Shape,
    /// Where in the message it is, for those inside of lists: `builds[0]`.
    place: Option<String>,
    fields: &'a Map<String, Value>,
}

impl<'a> Document<'a> {
    pub(super) fn new(shape: Shape, fields: &'a Map<String, Value>) -> Self {
        Self { shape, place: None, fields }
    }

    /// The string at `path`.
    pub(super) fn text(&self, path: &str) -> Result<Option<&'a str>, Rejection> {
        self.find(path)?.map(|value| value.as_str().ok_or_else(|| self.wrong(path, value, "a string"))).transpose()
    }

    pub(super) fn required_text(&self, path: &str) -> Result<&'a str, Rejection> {
        self.text(path)?.ok_or_else(|| self.missing(path))
    }

    /// The string at `path`, as what it has to be.
    pub(super) fn parsed<T: FromStr<Err = Malformed>>(&self, path: &str) -> Result<Option<T>, Rejection> {
        let parse =
            |text: &str| text.parse().map_err(|why: Malformed| self.wrong(path, &why.value.into(), why.accepted));
        self.text(path)?.map(parse).transpose()
    }

    pub(super) fn required<T: FromStr<Err = Malformed>>(&self, path: &str) -> Result<T, Rejection> {
        self.parsed(path)?.ok_or_else(|| self.missing(path))
    }

    /// The strings in the list at `path`; none where it is absent.
    pub(super) fn texts(&self, path: &str) -> Result<Vec<&'a str>, Rejection> {
        const EXPECTED: &str = "a list of strings";
        let Some(value) = self.find(path)? else { return Ok(Vec::new()) };
        let items = value.as_array().ok_or_else(|| self.wrong(path, value, EXPECTED))?;
        items.iter().map(|item| item.as_str().ok_or_else(|| self.wrong(path, item, EXPECTED))).collect()
    }

    /// The objects in the list at `path`.
    pub(super) fn required_objects(&self, path: &str) -> Result<Vec<Document<'a>>, Rejection> {
        const EXPECTED: &str = "a list of objects";
        let value = self.find(path)?.ok_or_else(|| self.missing(path))?;
        let items = value.as_array().ok_or_else(|| self.wrong(path, value, EXPECTED))?;
        items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let place = format!("{path}[{index}]");
                match item.as_object() {
                    Some(fields) => Ok(Document { shape: self.shape, place: Some(place), fields }),
                    None => Err(self.wrong(&place, item, "an object")),
                }
            })
            .collect()
    }

    /// Tells that the value at `path` is not what is documented.
    pub(super) fn wrong(&self, path: &str, seen: &Value, expected: &str) -> Rejection {
        let Self { shape: Shape { name, page }, .. } = self;
        Rejection::new(
            code::NOT_UNDERSTOOD,
            format!("`{}` of {name} is {}; it must be {expected}", self.full(path), shown(seen)),
            format!("send it as documented: {page}"),
        )
    }

    /// Tells that the list at `path` has nothing of what is looked for.
    pub(super) fn lacking(&self, path: &str, expected: &str) -> Rejection {
        let Self { shape: Shape { name, page }, .. } = self;
        Rejection::new(
            code::NOT_UNDERSTOOD,
            format!("`{}` of {name} has no {expected}", self.full(path)),
            format!("send it as documented: {page}"),
        )
    }

    /// Tells that there is nothing at `path`.
    pub(super) fn missing(&self, path: &str) -> Rejection {
        let Self { shape: Shape { name, page }, .. } = self;
        Rejection::new(
            code::NOT_UNDERSTOOD,
            format!("{name} has no `{}`", self.full(path)),
            format!("send it as documented: {page}"),
        )
    }

    fn find(&self, path: &str) -> Result<Option<&'a Value>, Rejection> {
        let mut found: Option<&'a Value> = None;
        let mut walked = 0;
        for name in path.split('.') {
            let fields = match found {
                None => self.fields,
                Some(value) => value.as_object().ok_or_else(|| self.wrong(&path[..walked - 1], value, "an object"))?,
            };
            match fields.get(name) {
                None | Some(Value::Null) => return Ok(None),
                value => found = value,
            }
            walked += name.len() + 1;
        }
        Ok(found)
    }

    fn full(&self, path: &str) -> String {
        match &self.place {
            None => path.to_owned(),
            Some(place) => format!("{place}.{path}"),
        }
    }
}

/// The rejection of what is of no known shape; `seen` tells what it is.
pub(super) fn not_understood(seen: &str) -> Rejection {
    Rejection::new(
        code::NOT_UNDERSTOOD,
        format!("the message is {seen}"),
        "understood are EventBridge events (EC2, CloudTrail, Image Builder, Parameter Store, tags, a schedule, and any that \
         names an AMI in `resources`), Image Builder's SNS notification, Packer's manifest, a CopyImage request and \
         `{\"Sweep\": {}}`, each by itself or inside SQS, SNS or EventBridge",
    )
}

/// How a value that is not what it should be is shown.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "`null`".to_owned(),
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => format!("`{}`", shortened(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(fields) => fields_of(fields),
        Value::Bool(_) | Value::Number(_) => format!("`{value}`"),
    }
}

/// How an object is shown: by its fields' names, sorted.
pub(super) fn fields_of(fields: &Map<String, Value>) -> String {
    const MOST: usize = 12;
    if fields.is_empty() {
        return "an empty object".to_owned();
    }
    let mut names: Vec<&str> = fields.keys().map(String::as_str).collect();
    names.sort_unstable();
    names.truncate(MOST);
    let more = if fields.len() > MOST { ", …" } else { "" };
    format!("an object with `{}`{more}", shortened(&names.join("`, `")))
}
