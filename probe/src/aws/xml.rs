//! Answers of the query protocol: a tree of elements.

use quick_xml::Reader;
use quick_xml::events::Event;

/// An element with its text and its children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// Reads a document. Returns its root.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(document: &str) -> Result<Element, String> {
        let mut reader = Reader::from_str(document);
        // The last one is the innermost element that is open.
        let mut open = vec![Element::default()];
        loop {
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Start(start) => {
                    let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
                    open.push(Element { name, ..Element::default() });
                }
                Event::Empty(empty) => {
                    let name = String::from_utf8_lossy(empty.local_name().as_ref()).into_owned();
                    last(&mut open)?.children.push(Element { name, ..Element::default() });
                }
                Event::End(_) => {
                    let done = open.pop().ok_or("an element ends that never began")?;
                    last(&mut open)?.children.push(done);
                }
                Event::Text(text) => {
                    let text = text.decode().map_err(|error| error.to_string())?;
                    last(&mut open)?.text.push_str(&text);
                }
                Event::GeneralRef(reference) => {
                    let name = reference.decode().map_err(|error| error.to_string())?;
                    let text = character(&name).ok_or_else(|| format!("unknown entity {name}"))?;
                    last(&mut open)?.text.push(text);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        let document = open.pop().filter(|_| open.is_empty()).ok_or("the document ends too early")?;
        document.children.into_iter().next().ok_or_else(|| "the document is empty".to_owned())
    }

    /// The child of this name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the child of this name.
    #[must_use]
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }

    /// The items of the list of this name.
    pub fn items(&self, name: &str) -> impl Iterator<Item = &Element> {
        self.child(name).into_iter().flat_map(|list| &list.children)
    }

    /// The first element of this name, at any depth.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Element> {
        self.children.iter().find_map(|child| if child.name == name { Some(child) } else { child.find(name) })
    }
}

fn last(open: &mut [Element]) -> Result<&mut Element, String> {
    open.last_mut().ok_or_else(|| "an element ends that never began".to_owned())
}

/// The character that an entity stands for.
fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_becomes_a_tree_with_its_entities_resolved() {
        let text = "<?xml version=\"1.0\"?><A xmlns=\"x\"><list><item><id>1</id></item><item/></list><say>a &lt;&#38;&#x3e; b</say></A>";
        let root = Element::parse(text).expect("well-formed");
        assert_eq!(root.name, "A");
        assert_eq!(root.text_of("say"), Some("a <&> b"));
        assert_eq!(root.items("list").count(), 2);
        assert_eq!(root.find("id").map(|id| id.text.as_str()), Some("1"));
        assert!(Element::parse("<A>").is_err() && Element::parse("").is_err());
    }
}
