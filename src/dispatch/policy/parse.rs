//! From text to rules. Reads one line after the other, one character after the other; nothing is kept of what is
//! refused but a short piece for the message.

use std::str::FromStr;

use thiserror::Error;

use super::{
    Operation, Period, Policy,
    rule::{Bound, Constraint, Reserve, Rule, Subject},
};

/// The longest text, in bytes.
const LONGEST: usize = 64 << 10;
const MOST_LINES: usize = 1000;
const GREATEST: u64 = 1_000_000_000;
/// What is shown of a word that was not expected, in characters.
const SHOWN: usize = 32;
/// The bound for names of sites in the configuration.
const LONGEST_SITE: usize = 63;

/// Why a policy cannot be used, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("dispatch policy, line {line}, column {column}: {problem}")]
pub struct PolicyError {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What is wrong there, and what would be right.
    pub problem: String,
}

pub(super) fn parse(text: &str) -> Result<Vec<Rule>, PolicyError> {
    let whole = |problem: String| PolicyError { line: 1, column: 1, problem };
    if text.len() > LONGEST {
        return Err(whole(format!("the text has {} bytes, {LONGEST} are the most; shorten it", text.len())));
    }
    // Where each rule stands, for those who say the same again.
    let mut rules: Vec<(usize, Rule)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let at = |(column, problem)| PolicyError { line: number, column, problem };
        if number > MOST_LINES {
            return Err(at((1, format!("{MOST_LINES} lines are the most; shorten the policy"))));
        }
        let Some(rule) = Line::new(line).rule().map_err(at)? else { continue };
        if let Some((before, _)) = rules.iter().find(|(_, other)| rule.repeats(other)) {
            return Err(at((1, format!("line {before} bounds the same already; keep one of the two"))));
        }
        rules.push((number, rule));
    }
    Ok(rules.into_iter().map(|(_, rule)| rule).collect())
}

/// A column and what is wrong there.
type Problem = (usize, String);

struct Line<'a> {
    rest: &'a str,
    column: usize,
}

impl<'a> Line<'a> {
    fn new(line: &'a str) -> Self {
        Self { rest: line.split_once('#').map_or(line, |(rule, _)| rule), column: 1 }
    }

    /// The line's rule; nothing for one that is empty or a comment.
    fn rule(mut self) -> Result<Option<Rule>, Problem> {
        self.skip_blanks();
        if self.rest.is_empty() {
            return Ok(None);
        }
        let subject =
            self.one_of("an operation (create, remove, power, change, save, link or any)", |word| match word {
                "any" => Some(Subject::Any),
                word => Operation::from_str(word).ok().map(Subject::One),
            })?;
        let site = if self.takes("@") { Some(self.site()?) } else { None };
        self.expect(":", if site.is_some() { "`:`" } else { "`:`, or `@` and a site" })?;
        let bound = self.bound()?;
        if self.rest.is_empty() {
            Ok(Some(Rule { subject, site, bound }))
        } else {
            Err(self.expected("nothing more on this line"))
        }
    }

    fn bound(&mut self) -> Result<Bound, Problem> {
        let known = |word: &str| ["active", "waiting", "waited", "started"].into_iter().find(|one| *one == word);
        let measure = self.one_of("a measure (active, waiting, waited or started)", known)?;
        self.expect("<", "`<`")?;
        let at_number = self.column;
        let most = self.number("a number")?;
        Ok(match measure {
            "waited" => {
                if most == 0 {
                    return Err((at_number, "nothing would ever be dispatched: 1 is the least time to live".into()));
                }
                Bound::Waited { count: most, unit: self.one_of("a unit (s, min or h)", period)? }
            }
            "started" => {
                self.one_of("`per` and a unit (s, min or h)", |word| (word == "per").then_some(()))?;
                let unit = self.one_of("a unit (s, min or h)", period)?;
                Bound::Started(self.constraint(most)?, unit)
            }
            "waiting" => Bound::Waiting(self.constraint(most)?),
            _ => Bound::Active(self.constraint(most)?),
        })
    }

    /// The constraint with what is in reserve, if anything is.
    fn constraint(&mut self, most: u64) -> Result<Constraint, Problem> {
        if !self.takes("-") {
            return Ok(Constraint { most, reserve: Reserve::None });
        }
        let column = self.column;
        let count = self.number("the number in reserve")?;
        let reserve = if self.takes("%") {
            if !(1..100).contains(&count) {
                return Err((column, format!("expected a reserve of 1 to 99 %, found {count} %")));
            }
            Reserve::Percent(count)
        } else {
            if count == 0 || count >= most {
                return Err((
                    column,
                    format!("expected a reserve of at least 1 and less than the {most} themselves, found {count}"),
                ));
            }
            Reserve::Count(count)
        };
        Ok(Constraint { most, reserve })
    }

    fn site(&mut self) -> Result<String, Problem> {
        let start = self.column;
        let name = self.span(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if name.is_empty() {
            return Err(self.expected("the name of a site"));
        }
        if name.len() > LONGEST_SITE {
            return Err((start, format!("expected the name of a site, found one of more than {LONGEST_SITE} letters")));
        }
        self.skip_blanks();
        Ok(name.to_owned())
    }

    fn number(&mut self, what: &str) -> Result<u64, Problem> {
        let start = self.column;
        let digits = self.span(|c| c.is_ascii_digit());
        if digits.is_empty() {
            return Err(self.expected(what));
        }
        let number = digits.parse().ok().filter(|number| *number <= GREATEST);
        let number =
            number.ok_or_else(|| (start, format!("expected {what} of at most {GREATEST}, found a greater")))?;
        self.skip_blanks();
        Ok(number)
    }

    /// The next word, as what it means.
    fn one_of<T>(&mut self, what: &str, meaning: impl Fn(&'a str) -> Option<T>) -> Result<T, Problem> {
        let length = self.rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len());
        let found = meaning(&self.rest[..length]).ok_or_else(|| self.expected(what))?;
        self.advance(length);
        self.skip_blanks();
        Ok(found)
    }

    fn takes(&mut self, symbol: &str) -> bool {
        let there = self.rest.starts_with(symbol);
        if there {
            self.advance(symbol.len());
            self.skip_blanks();
        }
        there
    }

    fn expect(&mut self, symbol: &str, what: &str) -> Result<(), Problem> {
        if self.takes(symbol) { Ok(()) } else { Err(self.expected(what)) }
    }

    fn expected(&self, what: &str) -> Problem {
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        let word: String = self.rest[..end].chars().take(SHOWN).collect();
        let found = if self.rest.is_empty() { "the end of the line".to_owned() } else { format!("{word:?}") };
        (self.column, format!("expected {what}, found {found}"))
    }

    fn skip_blanks(&mut self) {
        self.span(|c| c == ' ' || c == '\t');
    }

    fn span(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let length = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        self.advance(length)
    }

    /// Goes on by so many bytes, which end at a character's boundary.
    fn advance(&mut self, length: usize) -> &'a str {
        let (passed, rest) = self.rest.split_at(length);
        self.column += passed.chars().count();
        self.rest = rest;
        passed
    }
}

fn period(word: &str) -> Option<Period> {
    [Period::Second, Period::Minute, Period::Hour].into_iter().find(|period| period.as_str() == word)
}

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        Self::parse(text)
    }
}
