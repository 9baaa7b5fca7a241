# Lines that whoever watches the machine from outside can wait for, on the serial console and on the screen.
announce() {
    echo "tombolo-guest: $*" >/dev/console
    echo "tombolo-guest: $*" 2>/dev/null >/dev/tty0
}
