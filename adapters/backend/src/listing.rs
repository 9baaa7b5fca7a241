//! Lists in which one malformed object spoils nothing but itself.

use std::fmt::{Display, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

/// What a backend lists: the objects that could be read, and a word about each that could not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing<T> {
    /// The objects that could be read.
    pub objects: Vec<T>,
    /// Why others could not be, one short printable sentence each: at most [`Listing::MOST_NOTES`].
    #[serde(default = "Vec::new")]
    pub unreadable: Vec<String>,
    /// How many more could not be read.
    #[serde(default)]
    pub more_unreadable: usize,
}

/// An answer that is no list at all, or one without end.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("the answer is no list: {0}")]
pub struct MalformedList(String);

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self::from(Vec::new())
    }
}

impl<T> From<Vec<T>> for Listing<T> {
    fn from(objects: Vec<T>) -> Self {
        Self { objects, unreadable: Vec::new(), more_unreadable: 0 }
    }
}

impl<T> FromIterator<T> for Listing<T> {
    fn from_iter<I: IntoIterator<Item = T>>(objects: I) -> Self {
        Self::from(Vec::from_iter(objects))
    }
}

impl<T> Listing<T> {
    /// How many sentences about unreadable objects are kept.
    pub const MOST_NOTES: usize = 20;
    /// The longest such sentence, in characters.
    pub const MOST_NOTE_CHARACTERS: usize = 200;

    /// Notes that an object could not be read. The sentence is cut, and what is not printable in it becomes `?`.
    pub fn note_unreadable(&mut self, why: impl Display) {
        if self.unreadable.len() >= Self::MOST_NOTES {
            self.more_unreadable = self.more_unreadable.saturating_add(1);
            return;
        }
        let mut note = Note { text: String::new(), room: Self::MOST_NOTE_CHARACTERS };
        // It ends early when there is no more room, which is no failure.
        let _ = write!(note, "{why}");
        self.unreadable.push(note.text);
    }

    /// How many objects could not be read.
    #[must_use]
    pub fn unreadable_count(&self) -> usize {
        self.unreadable.len().saturating_add(self.more_unreadable)
    }
}

/// A bounded, printable text.
struct Note {
    text: String,
    room: usize,
}

impl Write for Note {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for character in text.chars() {
            self.room = self.room.checked_sub(1).ok_or(std::fmt::Error)?;
            let printable = character == ' ' || character.is_ascii_graphic() || character.is_alphanumeric();
            self.text.push(if printable { character } else { '?' });
        }
        Ok(())
    }
}

/// The most objects of one list.
const MOST_OBJECTS: usize = 200_000;
/// The largest object, in bytes of JSON.
const MOST_OBJECT_BYTES: usize = 64 << 10;

impl<T: DeserializeOwned> Listing<T> {
    /// Reads a JSON array object by object. What is wrong inside of one (its types, its UTF-8, numbers that JSON does
    /// not have, its size) costs that one; only brackets and quotes that do not match cost the list.
    ///
    /// # Errors
    /// [`MalformedList`] for what is no array, does not end, or has more than 200,000 objects.
    pub fn from_json(text: &[u8]) -> Result<Self, MalformedList> {
        let mut listing = Self::default();
        let mut pieces = Pieces::of(text)?;
        let mut index = 0;
        while let Some(piece) = pieces.next()? {
            if index == MOST_OBJECTS {
                return Err(MalformedList(format!("it has more than {MOST_OBJECTS} objects")));
            }
            if piece.len() > MOST_OBJECT_BYTES {
                let length = piece.len();
                listing.note_unreadable(format_args!("object {index} has {length} bytes, more than an object has"));
            } else {
                match serde_json::from_slice(piece) {
                    Ok(object) => listing.objects.push(object),
                    Err(error) => listing.note_unreadable(format_args!("object {index}: {error}")),
                }
            }
            index += 1;
        }
        Ok(listing)
    }
}

/// The elements of a JSON array, told apart by its brackets, commas and quotes alone.
struct Pieces<'a> {
    rest: &'a [u8],
    first: bool,
    ended: bool,
}

impl<'a> Pieces<'a> {
    fn of(text: &'a [u8]) -> Result<Self, MalformedList> {
        match text.trim_ascii().strip_prefix(b"[") {
            Some(rest) => Ok(Self { rest, first: true, ended: false }),
            None => Err(MalformedList("it does not begin with a bracket".into())),
        }
    }

    fn next(&mut self) -> Result<Option<&'a [u8]>, MalformedList> {
        if self.ended {
            return Ok(None);
        }
        let end = end_of_element(self.rest).ok_or_else(|| MalformedList("it does not end".into()))?;
        let (element, rest) = self.rest.split_at(end);
        self.ended = rest.first() == Some(&b']');
        self.rest = rest.get(1..).unwrap_or_default();
        if self.ended && !self.rest.is_empty() {
            return Err(MalformedList("something follows its end".into()));
        }
        let element = element.trim_ascii();
        let nothing = std::mem::take(&mut self.first) && self.ended && element.is_empty();
        Ok((!nothing).then_some(element))
    }
}

/// Where the comma or bracket stands that ends the element.
fn end_of_element(text: &[u8]) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (place, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b',' | b']' if depth == 0 => return Some(place),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}
