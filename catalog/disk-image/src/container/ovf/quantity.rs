/// A quantity in bytes, from its number and its units (DSP0004, annex C: `byte * 2^20`, and older words).
pub(super) fn bytes_of(quantity: &str, units: Option<&str>) -> Option<u64> {
    let quantity: u64 = quantity.trim().parse().ok()?;
    quantity.checked_mul(unit_of(units.unwrap_or("byte"))?)
}

fn unit_of(units: &str) -> Option<u64> {
    let units: String = units.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    if let Some(factors) = units.strip_prefix("byte*") {
        return factors.split('*').try_fold(1_u64, |product, factor| product.checked_mul(factor_of(factor)?));
    }
    let words = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
    let short = ["b", "k", "m", "g", "t"];
    let singular = units.strip_suffix('s').unwrap_or(&units);
    let letter = units.strip_suffix("ib").or(units.strip_suffix('b')).filter(|rest| !rest.is_empty()).unwrap_or(&units);
    let power = words.iter().position(|word| *word == singular).or(short.iter().position(|word| *word == letter))?;
    Some(1 << (10 * power))
}

fn factor_of(factor: &str) -> Option<u64> {
    match factor.split_once('^') {
        Some((base, power)) => base.parse::<u64>().ok()?.checked_pow(power.parse().ok()?),
        None => factor.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_all_times() {
        for (quantity, units, bytes) in [
            ("512", None, Some(512)),
            ("8", Some("byte * 2^30"), Some(8 << 30)),
            ("8", Some("byte*2^20"), Some(8 << 20)),
            ("3", Some("byte * 10^9"), Some(3_000_000_000)),
            ("3", Some("byte * 2^10 * 1000"), Some(3_072_000)),
            ("7", Some("byte"), Some(7)),
            ("256", Some("MegaBytes"), Some(256 << 20)),
            ("2", Some("GigaBytes"), Some(2 << 30)),
            ("2", Some("GB"), Some(2 << 30)),
            ("2", Some("MiB"), Some(2 << 20)),
            ("5", Some("B"), Some(5)),
            ("2", Some("hertz * 10^6"), None),
            ("${disk}", None, None),
            ("-1", None, None),
            ("2", Some("byte * 2^64"), None),
            ("18446744073709551615", Some("byte * 2"), None),
            ("1", Some("byte * 2^99999999999"), None),
            ("1", Some(""), None),
        ] {
            assert_eq!(bytes_of(quantity, units), bytes, "{quantity} {units:?}");
        }
    }
}
