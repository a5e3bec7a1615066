//! A document of a known shape, whose fields are looked up by name.
//!
//! Of other senders' messages, only the fields that the courier needs are read. If one is not as documented, the error names
//! the field, its value, the expected form and the page that documents it.

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::error::{Error, code};
use crate::identity::{Malformed, shortened};

/// A kind of message, and the page that documents it.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) page: &'static str,
}

/// An object of a known shape. Paths have dots, such as `detail.state.status`. A `null` counts as absent.
pub(super) struct Document<'a> {
    shape: Shape,
    /// Its place in the message, if it is an item of a list: `builds[0]`.
    place: Option<String>,
    fields: &'a Map<String, Value>,
}

impl<'a> Document<'a> {
    pub(super) fn new(shape: Shape, fields: &'a Map<String, Value>) -> Self {
        Self { shape, place: None, fields }
    }

    /// The string at `path`.
    pub(super) fn text(&self, path: &str) -> Result<Option<&'a str>, Error> {
        self.find(path)?.map(|value| value.as_str().ok_or_else(|| self.wrong(path, value, "a string"))).transpose()
    }

    /// The string with this key in the object at `path`. The key may have dots.
    pub(super) fn text_in(&self, path: &str, key: &str) -> Result<Option<&'a str>, Error> {
        let Some(value) = self.find(path)? else { return Ok(None) };
        let object = value.as_object().ok_or_else(|| self.wrong(path, value, "an object"))?;
        let found = object.get(key).filter(|value| !value.is_null());
        found.map(|value| value.as_str().ok_or_else(|| self.wrong(path, value, "an object of strings"))).transpose()
    }

    pub(super) fn required_text(&self, path: &str) -> Result<&'a str, Error> {
        self.text(path)?.ok_or_else(|| self.missing(path))
    }

    /// The string at `path`, parsed.
    pub(super) fn parsed<T: FromStr<Err = Malformed>>(&self, path: &str) -> Result<Option<T>, Error> {
        let parse =
            |text: &str| text.parse().map_err(|why: Malformed| self.wrong(path, &why.value.into(), why.accepted));
        self.text(path)?.map(parse).transpose()
    }

    pub(super) fn required<T: FromStr<Err = Malformed>>(&self, path: &str) -> Result<T, Error> {
        self.parsed(path)?.ok_or_else(|| self.missing(path))
    }

    /// The strings in the list at `path`; none if the list is absent.
    pub(super) fn texts(&self, path: &str) -> Result<Vec<&'a str>, Error> {
        const EXPECTED: &str = "a list of strings";
        let Some(value) = self.find(path)? else { return Ok(Vec::new()) };
        let items = value.as_array().ok_or_else(|| self.wrong(path, value, EXPECTED))?;
        items.iter().map(|item| item.as_str().ok_or_else(|| self.wrong(path, item, EXPECTED))).collect()
    }

    /// The objects in the list at `path`.
    pub(super) fn required_objects(&self, path: &str) -> Result<Vec<Document<'a>>, Error> {
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

    /// The rejection of a value at `path` that is not as documented.
    pub(super) fn wrong(&self, path: &str, seen: &Value, expected: &str) -> Error {
        let Self { shape: Shape { name, page }, .. } = self;
        Error::rejected(
            code::NOT_UNDERSTOOD,
            format!("`{}` of {name} is {}; it must be {expected}", self.full(path), shown(seen)),
            format!("send it as documented: {page}"),
        )
    }

    /// The rejection of a list at `path` without the item that is needed.
    pub(super) fn lacking(&self, path: &str, expected: &str) -> Error {
        let Self { shape: Shape { name, page }, .. } = self;
        Error::rejected(
            code::NOT_UNDERSTOOD,
            format!("`{}` of {name} has no {expected}", self.full(path)),
            format!("send it as documented: {page}"),
        )
    }

    /// The rejection of a document without a value at `path`.
    pub(super) fn missing(&self, path: &str) -> Error {
        let Self { shape: Shape { name, page }, .. } = self;
        Error::rejected(
            code::NOT_UNDERSTOOD,
            format!("{name} has no `{}`", self.full(path)),
            format!("send it as documented: {page}"),
        )
    }

    fn find(&self, path: &str) -> Result<Option<&'a Value>, Error> {
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

/// The rejection of a message of no known shape; `seen` describes it.
pub(super) fn not_understood(seen: &str) -> Error {
    Error::rejected(
        code::NOT_UNDERSTOOD,
        format!("the message is {seen}"),
        "send one of these, by itself or inside SQS, SNS or EventBridge: an EventBridge event (of EC2, CloudTrail, Image \
         Builder, Parameter Store, tags, a schedule, or any that names an AMI in `resources`), Image Builder's SNS notification, \
         Packer's manifest, a CopyImage request, or `{\"Sweep\": {}}`",
    )
}

/// How errors show a value that is not as expected.
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

/// How errors show an object: by the names of its fields, sorted.
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
