//! A text, or an object in its place.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::super::error::{ParseError, Position};
use crate::identifier::excerpt;

/// A location or identifier, or the object that it stands for. Read without a copy in between, so that an error knows
/// its place.
#[derive(Debug)]
pub(super) enum TextOr<T> {
    Text(String),
    Object(T),
}

impl<T> TextOr<T> {
    /// The object, where a text will not do.
    pub(super) fn object(self, what: &str) -> Result<T, ParseError> {
        match self {
            Self::Object(object) => Ok(object),
            Self::Text(text) => {
                Err(ParseError::new(Position::Request, format!("{what} as an object"), format!("`{}`", excerpt(&text))))
            }
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = TextOr<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text or an object")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(TextOr::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(TextOr::Object)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}
