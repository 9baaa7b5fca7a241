/// A UUID in the form that people read, from its bytes in the order that is printed.
pub(crate) fn uuid_text(bytes: [u8; 16]) -> String {
    let number = format!("{:032x}", u128::from_be_bytes(bytes));
    let parts = [&number[..8], &number[8..12], &number[12..16], &number[16..20], &number[20..]];
    parts.join("-")
}

/// Turns a UUID from the order that is printed into that of Microsoft's structures, whose first three numbers are
/// little endian, or back.
pub(crate) fn swap_uuid(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes
}
