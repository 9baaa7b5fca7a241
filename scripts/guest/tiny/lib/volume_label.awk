# Input: block device, and its bytes 0..511 and 32768..34815 in hexadecimal. Output: device and volume label.

function text(position, length_,    hex, characters, at, code) {
    hex = substr($2, 2 * position + 1, 2 * length_)
    for (at = 1; at < length(hex); at += 2) {
        code = 16 * (index("0123456789abcdef", substr(hex, at, 1)) - 1) + \
            index("0123456789abcdef", substr(hex, at + 1, 1)) - 1
        if (code >= 32 && code < 127) characters = characters sprintf("%c", code)
    }
    sub(/ +$/, "", characters)
    return tolower(characters)
}

{
    if (text(512 + 1, 5) == "cd001") print $1, text(512 + 40, 32)
    else if (text(82, 5) == "fat32") print $1, text(71, 11)
    else if (text(54, 3) == "fat") print $1, text(43, 11)
}
