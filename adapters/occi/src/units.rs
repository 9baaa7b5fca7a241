//! OCCI counts memory and disks in GiB with a fraction, we count in MiB and bytes.

const GIB: f64 = (1_u64 << 30) as f64;
const MIB_IN_GIB: f64 = 1024.0;
/// The largest that is believed, in GiB.
const MOST_GIB: f64 = (1_u64 << 30) as f64;

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded, never negative")]
fn whole(number: f64, most: f64) -> Option<u64> {
    (number.is_finite() && (0.0..=most).contains(&number)).then_some(number as u64)
}

/// A number of cores.
pub(crate) fn cores(number: f64) -> Option<u32> {
    whole(number, f64::from(u32::MAX)).and_then(|number| u32::try_from(number).ok())
}

/// MiB in so many GiB, to the nearest.
pub(crate) fn mib_of_gib(gib: f64) -> Option<u64> {
    whole((gib * MIB_IN_GIB).round(), MOST_GIB * MIB_IN_GIB)
}

/// Bytes in so many GiB, to the nearest.
pub(crate) fn bytes_of_gib(gib: f64) -> Option<u64> {
    (gib <= MOST_GIB).then(|| whole((gib * GIB).round(), MOST_GIB * GIB)).flatten()
}

/// MiB as GiB.
#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
pub(crate) fn gib_of_mib(mib: u64) -> f64 {
    mib as f64 / MIB_IN_GIB
}

/// Bytes as GiB.
#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
pub(crate) fn gib_of_bytes(bytes: u64) -> f64 {
    bytes as f64 / GIB
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_come_back_as_they_went() {
        for bytes in [512, 4096, 10 << 30, (10 << 30) + 512, 1 << 46, (1 << 46) + 512] {
            assert_eq!(bytes_of_gib(gib_of_bytes(bytes)), Some(bytes), "{bytes}");
        }
        for mib in [1, 128, 1000, 1 << 20] {
            assert_eq!(mib_of_gib(gib_of_mib(mib)), Some(mib), "{mib}");
        }
    }

    #[test]
    fn nonsense_is_no_size() {
        for number in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            assert_eq!((cores(number), mib_of_gib(number), bytes_of_gib(number)), (None, None, None), "{number}");
        }
    }
}
