//! The AWS CLI's shorthand syntax, as far as tag specifications need it: `ResourceType=image,Tags=[{Key=a,Value=b}]`.
//!
//! The grammar: <https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-shorthand.html>. Lists without
//! brackets (`Key=a,b`) and `@=` are left out: no tag specification uses them.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::{Map, Value};

/// Reads `Name=value,Name=value`; a value is a word, a quoted string, a `[list]` or a `{Name=value}` structure.
///
/// # Errors
/// What was expected, and what was found instead.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser { rest: text.chars().peekable() };
    let mut structure = Map::new();
    loop {
        parser.key_value(&mut structure, false)?;
        match parser.rest.next() {
            None => return Ok(Value::Object(structure)),
            Some(',') => {}
            Some(other) => return Err(expected("','", Some(other))),
        }
    }
}

struct Parser<'text> {
    rest: Peekable<Chars<'text>>,
}

impl Parser<'_> {
    fn key_value(&mut self, structure: &mut Map<String, Value>, nested: bool) -> Result<(), String> {
        self.skip_spaces();
        let mut key = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_ascii_alphanumeric() || "-_.#/:".contains(*c)) {
            key.push(c);
        }
        self.expect('=')?;
        let value = self.value(nested)?;
        self.skip_spaces();
        match structure.insert(key.clone(), value) {
            None => Ok(()),
            Some(_) => Err(format!("{key} is given twice (a space goes between two specifications, not a comma)")),
        }
    }

    fn value(&mut self, nested: bool) -> Result<Value, String> {
        match self.rest.peek() {
            Some('[') => self.list(),
            Some('{') => self.structure(),
            Some(&quote @ ('\'' | '"')) => self.quoted(quote),
            _ => Ok(Value::String(self.word(nested))),
        }
    }

    fn list(&mut self) -> Result<Value, String> {
        self.expect('[')?;
        let mut items = Vec::new();
        while !self.closes(']')? {
            items.push(self.value(true)?);
            self.separator(']')?;
        }
        Ok(Value::Array(items))
    }

    fn structure(&mut self) -> Result<Value, String> {
        self.expect('{')?;
        let mut structure = Map::new();
        while !self.closes('}')? {
            self.key_value(&mut structure, true)?;
            self.separator('}')?;
        }
        Ok(Value::Object(structure))
    }

    /// A word ends at the next comma (but not at `\,`) and, inside brackets, at the bracket.
    fn word(&mut self, nested: bool) -> String {
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(|c| *c != ',' && !(nested && matches!(c, ']' | '}'))) {
            if c == '\\' && self.rest.next_if_eq(&',').is_some() {
                word.push(',');
            } else {
                word.push(c);
            }
        }
        word.trim_end().to_owned()
    }

    fn quoted(&mut self, quote: char) -> Result<Value, String> {
        self.expect(quote)?;
        let mut text = String::new();
        loop {
            match self.rest.next() {
                Some('\\') => text.push(self.rest.next_if_eq(&quote).unwrap_or('\\')),
                Some(c) if c == quote => return Ok(Value::String(text)),
                Some(c) => text.push(c),
                None => return Err(expected(&format!("a closing {quote}"), None)),
            }
        }
    }

    /// Reads the closing bracket if it is next.
    fn closes(&mut self, bracket: char) -> Result<bool, String> {
        self.skip_spaces();
        match self.rest.peek() {
            None => Err(expected(&format!("'{bracket}'"), None)),
            Some(_) => Ok(self.rest.next_if_eq(&bracket).is_some()),
        }
    }

    /// Reads the comma between two items. A closing bracket is left for the caller.
    fn separator(&mut self, bracket: char) -> Result<(), String> {
        self.skip_spaces();
        match self.rest.peek() {
            Some(c) if *c == bracket => Ok(()),
            _ => self.expect(','),
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        match self.rest.next() {
            Some(c) if c == wanted => {
                self.skip_spaces();
                Ok(())
            }
            other => Err(expected(&format!("'{wanted}'"), other)),
        }
    }

    fn skip_spaces(&mut self) {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
    }
}

fn expected(wanted: &str, received: Option<char>) -> String {
    match received {
        Some(c) => format!("Expected: {wanted}, received: '{c}'"),
        None => format!("Expected: {wanted}, received: the end"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tag_specification_reads_as_the_aws_cli_reads_it() {
        for (shorthand, value) in [
            (
                "ResourceType=image,Tags=[{Key=team,Value=infra},{Key=env,Value=prod}]",
                json!({"ResourceType": "image", "Tags": [{"Key": "team", "Value": "infra"}, {"Key": "env", "Value": "prod"}]}),
            ),
            (
                r#"ResourceType=snapshot,Tags=[{Key=a,Value=""}]"#,
                json!({"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": ""}]}),
            ),
            (
                r#"ResourceType=image,Tags=[{Key="a b",Value='c,d}'}]"#,
                json!({"ResourceType": "image", "Tags": [{"Key": "a b", "Value": "c,d}"}]}),
            ),
            (
                r"ResourceType=image,Tags=[{Key=a,Value=b\,c=d e}]",
                json!({"ResourceType": "image", "Tags": [{"Key": "a", "Value": "b,c=d e"}]}),
            ),
            (
                "ResourceType=image, Tags=[{Key=a, Value=https://host/?b=c}]",
                json!({"ResourceType": "image", "Tags": [{"Key": "a", "Value": "https://host/?b=c"}]}),
            ),
            ("ResourceType=image,Tags=[]", json!({"ResourceType": "image", "Tags": []})),
        ] {
            assert_eq!(parse(shorthand), Ok(value), "{shorthand}");
        }
    }

    #[test]
    fn an_error_names_what_was_expected() {
        for (shorthand, expected) in [
            ("ResourceType=image,Tags=[{Key=a", "the end"),
            ("ResourceType=image,Tags=[{Key=a}", "the end"),
            ("ResourceType", "Expected: '='"),
            ("ResourceType=image,Tags=[{Key='a}]", "a closing '"),
            ("ResourceType=image,ResourceType=snapshot", "ResourceType is given twice"),
            ("", "Expected: '='"),
        ] {
            let error = parse(shorthand).expect_err(shorthand);
            assert!(error.contains(expected), "{shorthand}: {error}");
        }
    }
}
