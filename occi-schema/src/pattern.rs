//! The forms that the standard asks of some string attributes.

use std::net::IpAddr;

use serde::Deserialize;

/// A named form of a string value. Checked by hand, so that no client can feed a regular expression engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// A DNS host name, fully qualified or not (RFC 1123).
    Hostname,
    /// One word without white space.
    Token,
    /// A MAC address: six hexadecimal pairs with `:` or `-` between them.
    Mac,
    /// An IPv4 or IPv6 address.
    Ip,
    /// An IPv4 or IPv6 network, `address/prefix length`.
    Cidr,
    /// An address or a network.
    IpOrCidr,
    /// An ISO 8601 date, time or date-time; neither a duration nor an interval.
    Instant,
}

impl Pattern {
    /// Whether `text` has this form.
    #[must_use]
    pub fn matches(self, text: &str) -> bool {
        match self {
            Self::Hostname => is_hostname(text),
            Self::Token => !text.is_empty() && !text.contains(char::is_whitespace),
            Self::Mac => is_mac(text),
            Self::Ip => text.parse::<IpAddr>().is_ok(),
            Self::Cidr => is_cidr(text),
            Self::IpOrCidr => text.parse::<IpAddr>().is_ok() || is_cidr(text),
            Self::Instant => is_instant(text),
        }
    }

    /// The form in words, for messages.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Hostname => "a host name",
            Self::Token => "one word without white space",
            Self::Mac => "a MAC address like 00:11:22:33:44:55",
            Self::Ip => "an IP address",
            Self::Cidr => "an IP network like 192.0.2.0/24",
            Self::IpOrCidr => "an IP address or network",
            Self::Instant => "an ISO 8601 date, time or date-time",
        }
    }

    /// A regular expression (POSIX extended) that every text of this form matches, for discovery.
    #[must_use]
    pub fn expression(self) -> &'static str {
        match self {
            Self::Hostname => "^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
            Self::Token => "^[^[:space:]]+$",
            Self::Mac => "^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$",
            Self::Ip => "^[0-9A-Fa-f:.]+$",
            Self::Cidr => "^[0-9A-Fa-f:.]+/[0-9]{1,3}$",
            Self::IpOrCidr => "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$",
            Self::Instant => "^[0-9T:.Z+-]+$",
        }
    }
}

fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

fn is_mac(text: &str) -> bool {
    let bytes = text.as_bytes();
    let separator = bytes.get(2).copied();
    bytes.len() == 17
        && matches!(separator, Some(b':' | b'-'))
        && bytes.chunks(3).all(|chunk| {
            chunk.iter().take(2).all(u8::is_ascii_hexdigit) && chunk.get(2).is_none_or(|byte| Some(*byte) == separator)
        })
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let longest = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.bytes().all(|byte| byte.is_ascii_digit()) && length.parse::<u8>().is_ok_and(|length| length <= longest)
}

fn is_instant(text: &str) -> bool {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None if text.contains(':') => ("", Some(text)),
        None => (text, None),
    };
    let date_is_good = (date.is_empty() && time.is_some()) || is_date(date);
    date_is_good && time.is_none_or(is_time)
}

fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return digits(text, 8).is_some();
    };
    digits(year, 4).is_some()
        && digits(month, 2).is_some_and(|month| (1..=12).contains(&month))
        && digits(day, 2).is_some_and(|day| (1..=31).contains(&day))
}

fn is_time(text: &str) -> bool {
    let clock = match text.find(['Z', '+', '-']) {
        Some(zone) if is_zone(&text[zone..]) => &text[..zone],
        Some(_) => return false,
        None => text,
    };
    let (clock, fraction) = clock.split_once(['.', ',']).map_or((clock, None), |(clock, rest)| (clock, Some(rest)));
    let mut parts = clock.split(':');
    let hour = parts.next().and_then(|hour| digits(hour, 2));
    let minute = parts.next().and_then(|minute| digits(minute, 2));
    let second = parts.next().map_or(Some(0), |second| digits(second, 2));
    parts.next().is_none()
        && hour.is_some_and(|hour| hour <= 24)
        && minute.is_some_and(|minute| minute < 60)
        && second.is_some_and(|second| second <= 60)
        && fraction.is_none_or(|rest| (1..=9).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_zone(text: &str) -> bool {
    text == "Z"
        || text.get(1..).is_some_and(|offset| {
            let (hours, minutes) = offset.split_once(':').unwrap_or_else(|| offset.split_at(offset.len().min(2)));
            digits(hours, 2).is_some_and(|hours| hours <= 23)
                && (minutes.is_empty() || digits(minutes, 2).is_some_and(|minutes| minutes < 60))
        })
}

fn digits(text: &str, length: usize) -> Option<u32> {
    (text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: Pattern, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(pattern.matches(text), "{pattern:?} should take {text:?}");
        }
        for text in bad {
            assert!(!pattern.matches(text), "{pattern:?} should refuse {text:?}");
        }
    }

    #[test]
    fn names_and_addresses() {
        check(Pattern::Hostname, &["foobar", "vm-1.example.org", "a.b."], &["", "-a", "a-", "a..b", "a b", "é", "."]);
        check(Pattern::Token, &["blue"], &["", "a b", "a\n"]);
        check(Pattern::Mac, &["00:11:22:aa:BB:cc", "00-11-22-33-44-55"], &["00:11:22:33:44", "00:11-22:33:44:55", "x"]);
        check(Pattern::Ip, &["192.0.2.1", "2001:db8::1"], &["192.0.2", "192.0.2.0/24", ""]);
        check(Pattern::Cidr, &["192.0.2.0/24", "2001:db8::/32"], &["192.0.2.0/33", "192.0.2.0", "192.0.2.0/", "::/+1"]);
        check(Pattern::IpOrCidr, &["192.0.2.0/24", "::1"], &["x"]);
    }

    #[test]
    fn c_316_instants_are_neither_durations_nor_intervals() {
        check(
            Pattern::Instant,
            &["2026-01-31", "20260131", "12:30", "12:30:59Z", "2026-01-31T12:30:00+02:00", "2026-01-31T12:30:00.125Z"],
            &["", "P1D", "2026-01-31/P1D", "2026-13-01", "2026-01-31T", "tomorrow", "25:00", "12:30+é", "T"],
        );
    }
}
