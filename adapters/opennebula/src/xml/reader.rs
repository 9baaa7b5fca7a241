use std::borrow::Cow;

use quick_xml::{
    Reader,
    events::{BytesRef, Event},
};

use super::Element;

/// How much of an answer is read before it is no answer any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Elements within each other.
    pub(crate) depth: usize,
    /// Elements in one document, or in one object of a list.
    pub(crate) elements: usize,
    /// Bytes of text in one element.
    pub(crate) text: usize,
    /// Objects in one list.
    pub(crate) objects: usize,
}

impl Bounds {
    /// An answer to a call, whose text is a whole document.
    pub(crate) const ANSWER: Self = Self { depth: 16, elements: 64, text: 64 << 20, objects: 64 };
    /// An object. User data of 64 KiB, in base64 and in a context, is the longest text that we put into one ourselves.
    pub(crate) const OBJECT: Self = Self { depth: 24, elements: 20_000, text: 512 << 10, objects: 100_000 };
}

/// The longest tag, in bytes.
const LONGEST_TAG: usize = 4 << 10;

/// Why an answer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum XmlError {
    /// It is no XML, or cut.
    Malformed(String),
    /// It brings a document type or an entity of its own.
    Forbidden(&'static str),
    /// It is larger in one respect than anything that the service has a reason to say.
    Excessive(&'static str),
}

impl std::fmt::Display for XmlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "it is no well-formed XML: {why}"),
            Self::Forbidden(what) => write!(f, "it has {what}, which is not read"),
            Self::Excessive(what) => write!(f, "it has {what} than is read"),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "errors are handed over as they come")]
fn malformed(why: impl ToString) -> XmlError {
    XmlError::Malformed(why.to_string())
}

/// Reads a whole document.
///
/// # Errors
/// [`XmlError`] for what is no XML or exceeds the bounds.
pub(crate) fn read(text: &str, bounds: Bounds) -> Result<Element, XmlError> {
    let mut source = Source::of(text);
    let root = source.root()?;
    let read = source.inside(root, bounds)?;
    source.nothing_follows()?;
    read.ok()
}

/// Reads a list object by object, and hands each over as soon as it is read. An object that exceeds the bounds costs
/// itself alone.
///
/// # Errors
/// [`XmlError`] for what is no XML from some place on; what came before has been handed over.
pub(crate) fn read_children(
    text: &str,
    bounds: Bounds,
    mut take: impl FnMut(Result<Element, XmlError>),
) -> Result<(), XmlError> {
    let mut source = Source::of(text);
    // Anything else would look like an empty list, as if all were gone.
    if !source.root()?.ends_with("_POOL") {
        return Err(malformed("it is no list"));
    }
    let mut count = 0;
    loop {
        match source.next()? {
            Token::Open(name) => {
                count += 1;
                if count > bounds.objects {
                    return Err(XmlError::Excessive("more objects"));
                }
                let read = source.inside(name, bounds)?;
                take(read.ok());
            }
            Token::Text(_) => {}
            Token::Close => break,
            Token::End => return Err(malformed("it ends too early")),
        }
    }
    source.nothing_follows()
}

enum Token<'a> {
    Open(String),
    Close,
    Text(Cow<'a, str>),
    End,
}

/// An element that was read to its end, whether it keeps the bounds or not.
struct Read {
    element: Element,
    fault: Option<XmlError>,
}

impl Read {
    fn ok(self) -> Result<Element, XmlError> {
        match self.fault {
            None => Ok(self.element),
            Some(fault) => Err(fault),
        }
    }
}

struct Source<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
}

impl<'a> Source<'a> {
    fn of(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Self { reader, depth: 0 }
    }

    fn root(&mut self) -> Result<String, XmlError> {
        loop {
            match self.next()? {
                Token::Open(name) => return Ok(name),
                Token::Text(text) if text.trim().is_empty() => {}
                _ => return Err(malformed("it does not begin with an element")),
            }
        }
    }

    fn nothing_follows(&mut self) -> Result<(), XmlError> {
        loop {
            match self.next()? {
                Token::End => return Ok(()),
                Token::Text(text) if text.trim().is_empty() => {}
                _ => return Err(malformed("something follows its end")),
            }
        }
    }

    fn next(&mut self) -> Result<Token<'a>, XmlError> {
        loop {
            return match self.reader.read_event().map_err(malformed)? {
                Event::Start(start) => {
                    // Checked here so that names of open elements never pile up in the reader.
                    self.depth += 1;
                    if self.depth > Bounds::OBJECT.depth + Bounds::ANSWER.depth {
                        return Err(XmlError::Excessive("more elements within each other"));
                    }
                    if start.len() > LONGEST_TAG {
                        return Err(XmlError::Excessive("a longer tag"));
                    }
                    Ok(Token::Open(AsRef::<str>::as_ref(&start.name()).to_owned()))
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    Ok(Token::Close)
                }
                Event::Text(text) => Ok(Token::Text(text.into_inner())),
                Event::CData(text) => Ok(Token::Text(text.into_inner())),
                Event::GeneralRef(reference) => Ok(Token::Text(resolved(&reference)?)),
                Event::DocType(_) => Err(XmlError::Forbidden("a document type")),
                Event::Eof if self.depth > 0 => Err(malformed("it ends too early")),
                Event::Eof => Ok(Token::End),
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::Empty(_) => continue,
            };
        }
    }

    /// The rest of an element whose tag has been read.
    fn inside(&mut self, name: String, bounds: Bounds) -> Result<Read, XmlError> {
        let mut open = vec![Element { name, ..Element::default() }];
        let (mut count, mut fault) = (1, None);
        // Below this, what is read is thrown away.
        let mut ignored = 0_usize;
        loop {
            match self.next()? {
                Token::Open(_) if ignored > 0 => ignored += 1,
                Token::Open(name) => {
                    count += 1;
                    let excess = if count > bounds.elements {
                        Some("more elements")
                    } else if open.len() >= bounds.depth {
                        Some("more elements within each other")
                    } else {
                        None
                    };
                    match excess {
                        Some(what) => {
                            fault.get_or_insert(XmlError::Excessive(what));
                            ignored = 1;
                        }
                        None => open.push(Element { name, ..Element::default() }),
                    }
                }
                Token::Text(_) if ignored > 0 => {}
                Token::Text(text) => {
                    let Some(element) = open.last_mut() else { continue };
                    if element.text.len() + text.len() > bounds.text {
                        fault.get_or_insert(XmlError::Excessive("a longer text"));
                    } else {
                        element.text.push_str(&text);
                    }
                }
                Token::Close if ignored > 0 => ignored -= 1,
                Token::Close => {
                    let Some(mut element) = open.pop() else { return Err(malformed("an end without a beginning")) };
                    // Blanks between elements are layout.
                    if !element.children.is_empty() && element.text.trim().is_empty() {
                        element.text = String::new();
                    }
                    match open.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => return Ok(Read { element, fault }),
                    }
                }
                Token::End => return Err(malformed("it ends too early")),
            }
        }
    }
}

/// The five entities of XML itself, and characters by number.
fn resolved(reference: &BytesRef<'_>) -> Result<Cow<'static, str>, XmlError> {
    if let Some(character) = reference.resolve_char_ref().map_err(malformed)? {
        return Ok(Cow::Owned(character.to_string()));
    }
    Ok(Cow::Borrowed(match AsRef::<str>::as_ref(reference) {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "quot" => "\"",
        "apos" => "'",
        _ => return Err(XmlError::Forbidden("an entity of its own")),
    }))
}
