use super::fields::Fields;

/// Seconds from 1970 to 2000, where VHD begins to count.
const EPOCH: u64 = 946_684_800;
const DAY: u64 = 86_400;

/// A footer's time stamp, in UTC.
pub(super) fn time(seconds_since_2000: u32) -> String {
    let seconds = EPOCH + u64::from(seconds_since_2000);
    let (mut day, second) = (seconds / DAY, seconds % DAY);
    let mut year = 1970;
    loop {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = if is_leap { 366 } else { 365 };
        if day < days {
            let (month, day) = month_and_day(day, is_leap);
            let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
            return format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
        }
        day -= days;
        year += 1;
    }
}

fn month_and_day(mut day: u64, is_leap: bool) -> (u64, u64) {
    let february = if is_leap { 29 } else { 28 };
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    (month, day + 1)
}

/// Four letters, such as a creator's.
pub(super) fn letters(bytes: [u8; 4]) -> String {
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.trim_end_matches(['\0', ' ']).to_owned()
}

/// A creator's version: major and minor in one number.
pub(super) fn version(number: u32) -> String {
    format!("{}.{}", number >> 16, number & 0xffff)
}

/// The parent that a differencing disk's header names, as text to show and never as a path to follow: UTF-16, big
/// endian.
pub(super) fn parent_name(header: &[u8]) -> String {
    const NAME: usize = 64;
    const LENGTH: usize = 512;
    let fields = Fields(header);
    let units = (NAME..NAME + LENGTH).step_by(2).map(|at| fields.u16(at)).take_while(|unit| *unit != 0);
    let clean = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    char::decode_utf16(units).map(|c| clean(c.unwrap_or(char::REPLACEMENT_CHARACTER))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_from_the_year_2000() {
        assert_eq!(time(0), "2000-01-01T00:00:00Z");
        assert_eq!(time(59 * 86_400 + 86_399), "2000-02-29T23:59:59Z");
        assert_eq!(time(60 * 86_400), "2000-03-01T00:00:00Z");
        assert_eq!(time(366 * 86_400 - 1), "2000-12-31T23:59:59Z");
        assert_eq!(time(0x3294_afca), "2026-11-21T19:38:50Z");
        assert_eq!(time(u32::MAX), "2136-02-07T06:28:15Z");
    }

    #[test]
    fn names_are_shown_without_what_a_terminal_obeys() {
        let mut header = [0; 1024];
        for (at, unit) in "..\\base\u{1b}[2J.vhd".encode_utf16().enumerate() {
            header[64 + 2 * at..][..2].copy_from_slice(&unit.to_be_bytes());
        }
        assert_eq!(parent_name(&header), "..\\base\u{fffd}[2J.vhd");
        assert_eq!(letters(*b"qemu"), "qemu");
        assert_eq!(letters(*b"tap\0"), "tap");
        assert_eq!(version(0x0005_0003), "5.3");
    }
}
