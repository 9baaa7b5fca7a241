//! Simulated guests: boot sectors that do one thing, so that no operating system has to boot.

/// A root disk that starts with this code, 1 MiB.
fn disk(code: &[u8], text: &str) -> Vec<u8> {
    let mut disk = vec![0; 1 << 20];
    disk[..PROLOGUE.len()].copy_from_slice(PROLOGUE);
    disk[PROLOGUE.len()..][..code.len()].copy_from_slice(code);
    disk[0x100..][..text.len()].copy_from_slice(text.as_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// Prints the text at 0x7d00 on the serial line, then falls through.
const PROLOGUE: &[u8] = &[
    0xfa, //             cli
    0xfc, //             cld
    0x31, 0xc0, //       xor ax, ax
    0x8e, 0xd8, //       mov ds, ax
    0xbe, 0x00, 0x7d, // mov si, 0x7d00
    0xac, //       (9)   lodsb
    0x84, 0xc0, //       test al, al
    0x74, 0x11, //       jz to the end
    0x88, 0xc4, //       mov ah, al
    0xba, 0xfd, 0x03, // mov dx, 0x3fd
    0xec, //       (13)  in al, dx
    0xa8, 0x20, //       test al, 0x20
    0x74, 0xfb, //       jz 0x13
    0xb2, 0xf8, //       mov dl, 0xf8
    0x88, 0xe0, //       mov al, ah
    0xee, //             out dx, al
    0xeb, 0xea, //       jmp 9
];

/// Says hello and does nothing more, whatever is asked of it.
pub fn deaf() -> Vec<u8> {
    disk(&[0xf4, 0xeb, 0xfd], "deaf guest\r\n") // hlt; jmp
}

/// Switches itself off at once, through the q35 board's power management port.
pub fn short_lived() -> Vec<u8> {
    disk(POWER_OFF, "short-lived guest\r\n")
}

const POWER_OFF: &[u8] = &[
    0xba, 0x04, 0x06, // mov dx, 0x604
    0xb8, 0x00, 0x20, // mov ax, 0x2000
    0xef, //             out dx, ax
    0xeb, 0xfe, //       jmp $
];

/// Waits for the power button, and switches itself off then.
pub fn obedient() -> Vec<u8> {
    let wait = [
        0xba, 0x02, 0x06, // mov dx, 0x602
        0xb8, 0x00, 0x01, // mov ax, 0x100    ; the button may be heard
        0xef, //             out dx, ax
        0xba, 0x00, 0x06, // mov dx, 0x600
        0xed, //             in ax, dx
        0xf6, 0xc4, 0x01, // test ah, 1       ; it was pressed
        0x74, 0xfa, //       jz to the in
    ];
    disk(&[&wait, POWER_OFF].concat(), "obedient guest\r\n")
}

/// Resets itself for ever.
pub fn restless() -> Vec<u8> {
    disk(&[0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe], "restless guest\r\n") // mov al, 0xfe; out 0x64, al; jmp $
}

/// Says one dot after the other. One that was reset would greet again.
pub fn ticking() -> Vec<u8> {
    let ticks = [
        0xb9, 0x00, 0x00, // mov cx, 0        ; 64 Ki turns
        0xbb, 0x40, 0x00, // mov bx, 64
        0xe2, 0xfe, //       loop $
        0x4b, //             dec bx
        0x75, 0xfb, //       jnz to the loop
        0xba, 0xf8, 0x03, // mov dx, 0x3f8
        0xb0, 0x2e, //       mov al, '.'
        0xee, //             out dx, al
        0xeb, 0xed, //       jmp to the beginning
    ];
    disk(&ticks, "ticking guest\r\n")
}

/// Writes its first sector to its second one by the BIOS, and says "W" then.
pub fn writing() -> Vec<u8> {
    let write = [
        0x31, 0xc0, //       xor ax, ax
        0x8e, 0xc0, //       mov es, ax
        0xbb, 0x00, 0x7c, // mov bx, 0x7c00
        0xb9, 0x02, 0x00, // mov cx, 2        ; the second sector
        0xba, 0x80, 0x00, // mov dx, 0x80     ; of the first disk
        0xb8, 0x01, 0x03, // mov ax, 0x301    ; write one
        0xcd, 0x13, //       int 0x13
        0xba, 0xf8, 0x03, // mov dx, 0x3f8
        0xb0, 0x57, //       mov al, 'W'
        0xee, //             out dx, al
        0xf4, 0xeb, 0xfd, // hlt; jmp
    ];
    disk(&write, "writing guest\r\n")
}

/// What [`writing`] makes of its disk.
pub fn written() -> Vec<u8> {
    let mut disk = writing();
    disk.copy_within(..512, 512);
    disk
}
