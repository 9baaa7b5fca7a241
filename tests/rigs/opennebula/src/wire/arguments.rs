//! The parameters of a call, taken one after the other with the type that the method wants.

use super::call::{Fault, Parameter};

/// What is left of a call's parameters. Surplus ones are ignored, as the daemon does.
pub struct Arguments(std::vec::IntoIter<Parameter>);

impl Arguments {
    /// All parameters of a call.
    pub fn new(parameters: Vec<Parameter>) -> Self {
        Self(parameters.into_iter())
    }

    /// The next parameter, an integer.
    ///
    /// # Errors
    /// Fault -501 when it is missing or of another type; so do all methods of this type.
    pub fn integer(&mut self) -> Result<i32, Fault> {
        match self.next()? {
            Parameter::Integer(n) => Ok(n),
            _ => Err(Fault::parameter("Parameter that is supposed to be integer is not")),
        }
    }

    /// The next parameter, a string.
    ///
    /// # Errors
    /// Fault -501.
    pub fn text(&mut self) -> Result<String, Fault> {
        match self.next()? {
            Parameter::Text(text) => Ok(text),
            _ => Err(Fault::parameter("Parameter that is supposed to be a string is not")),
        }
    }

    /// A string and then an integer, whose types are looked at the other way round.
    ///
    /// # Errors
    /// Fault -501.
    pub fn text_before_integer(&mut self) -> Result<(String, i32), Fault> {
        let text = self.next()?;
        let number = self.integer()?;
        match text {
            Parameter::Text(text) => Ok((text, number)),
            _ => Err(Fault::parameter("Parameter that is supposed to be a string is not")),
        }
    }

    /// The next parameter, a boolean.
    ///
    /// # Errors
    /// Fault -501.
    pub fn boolean(&mut self) -> Result<bool, Fault> {
        match self.next()? {
            Parameter::Boolean(b) => Ok(b),
            _ => Err(Fault::parameter("Parameter that is supposed to be boolean is not")),
        }
    }

    /// The next parameter, an array.
    ///
    /// # Errors
    /// Fault -501.
    pub fn array(&mut self) -> Result<Vec<Parameter>, Fault> {
        match self.next()? {
            Parameter::Array(items) => Ok(items),
            _ => Err(Fault::parameter("Parameter that is supposed to be an array is not")),
        }
    }

    /// An integer at the optional tail of a method.
    ///
    /// # Errors
    /// Fault -501 when there is one of another type.
    pub fn integer_or(&mut self, default: i32) -> Result<i32, Fault> {
        if self.0.len() == 0 { Ok(default) } else { self.integer() }
    }

    /// A string at the optional tail of a method.
    ///
    /// # Errors
    /// Fault -501 when there is one of another type.
    pub fn text_or(&mut self, default: &str) -> Result<String, Fault> {
        if self.0.len() == 0 { Ok(default.into()) } else { self.text() }
    }

    /// A boolean at the optional tail of a method.
    ///
    /// # Errors
    /// Fault -501 when there is one of another type.
    pub fn boolean_or(&mut self, default: bool) -> Result<bool, Fault> {
        if self.0.len() == 0 { Ok(default) } else { self.boolean() }
    }

    /// The bounds of a pool: filter flag, start, end.
    ///
    /// # Errors
    /// Fault -501.
    pub fn bounds(&mut self) -> Result<(i32, i32, i32), Fault> {
        Ok((self.integer()?, self.integer()?, self.integer()?))
    }

    fn next(&mut self) -> Result<Parameter, Fault> {
        self.0.next().ok_or_else(|| Fault::parameter("Not enough parameters"))
    }
}
