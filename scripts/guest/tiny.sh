# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # variables shared with build-guest
# The tiny guest: kernel and initramfs on a FAT partition; the root lives in memory. Sourced by build-guest.

install_group=guest
tool_packages=(mtools dosfstools fdisk syslinux syslinux-common cpio gzip)
disk_mib=32

list_packages() {
    local kernel
    kernel=$(newest_kernel cloud)
    [ -n "$kernel" ] || return 1
    list_named_packages "$kernel" busybox-static dropbear-bin libc6 libcrypt1 libtomcrypt1 libtommath1 libgmp10 zlib1g
}

# Drivers for QEMU's and Xen's devices, file systems of seeds, the power button; dependencies follow by themselves.
drivers=(
    virtio_pci virtio_blk virtio_net virtio_scsi virtio_console virtio_balloon virtio-rng
    sd_mod sr_mod ata_piix ata_generic xen-blkfront xen-netfront
    isofs vfat nls_cp437 nls_ascii nls_utf8 button evdev
)

build_image() {
    local directory=$1 image=$2 packages_root=$1/packages root=$1/root
    unpack_packages "$packages_root"
    make_root "$packages_root" "$root"
    (
        cd "$root" || exit
        find . -print0 | sort -z | cpio --null --create --format=newc --reproducible --owner=0:0 --quiet
    ) | gzip -6n >"$directory/initrd.gz"
    cp "$packages_root"/boot/vmlinuz-* "$directory/vmlinuz"
    boot_menu >"$directory/syslinux.cfg"
    make_disk "$image" "$directory/syslinux.cfg" "$directory/vmlinuz" "$directory/initrd.gz"
}

# make_disk IMAGE FILE...: MBR, and SYSLINUX with the files on one active FAT partition. Signature and volume id are
# fixed, as they are part of the image's bytes; mtools stamp files with SOURCE_DATE_EPOCH.
make_disk() {
    local image=$1 start=2048 mbr_code=/usr/lib/syslinux/mbr/mbr.bin
    shift
    truncate -s "${disk_mib}M" "$image"
    printf 'label: dos\nlabel-id: 0x746f6d62\nstart=%d, type=e, bootable\n' "$start" | sfdisk -q "$image" >&2
    dd if="$mbr_code" of="$image" bs=440 count=1 conv=notrunc status=none
    mkfs.fat -F 16 -n TOMBOLO -i 746f6d62 --invariant --offset "$start" "$image" $((disk_mib * 1024 - start / 2)) \
        >/dev/null
    syslinux --install --offset $((start * 512)) "$image"
    mcopy -i "$image@@$((start * 512))" "$@" ::/ || fail "the boot partition is too small for $*"
}

# The serial console comes last: it is the one that /dev/console means.
boot_menu() {
    cat <<MENU
DEFAULT tiny
PROMPT 0
LABEL tiny
  LINUX vmlinuz
  INITRD initrd.gz
  APPEND mitigations=off quiet cryptomgr.notests console=tty0 console=ttyS0
MENU
}

make_root() {
    local from=$1 root=$2 library name
    mkdir -p "$root"/{bin,boot,dev,lib,proc,root,run,sys,tmp,usr,var/log} "$root/etc/dropbear"
    ln -s bin "$root/sbin"
    ln -s lib "$root/lib64"
    ln -s ../bin "$root/usr/bin"
    ln -s ../bin "$root/usr/sbin"
    ln -s ../lib "$root/usr/lib"
    ln -s ../run "$root/var/run"
    cp "$from/bin/busybox" "$root/bin/"
    "$from/bin/busybox" --list | while read -r name; do
        [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
    done
    cp "$from/usr/sbin/dropbear" "$from/usr/bin/dropbearkey" "$root/bin/"
    for library in ld-linux-x86-64.so.2 libc.so.6 libcrypt.so.1 libtomcrypt.so.1 libtommath.so.1 libgmp.so.10 libz.so.1
    do
        find "$from" -name "$library" -exec cp -L {} "$root/lib/" \; -quit
        [ -f "$root/lib/$library" ] || fail "no package holds $library"
    done
    "$root/lib/ld-linux-x86-64.so.2" --library-path "$root/lib" --list "$root/bin/dropbear" >/dev/null ||
        fail "dropbear needs a library that the recipe does not name"
    copy_drivers "$from" "$root"
    # Written over the links where a file has an applet's name.
    cp -r --remove-destination "$here/guest/tiny/." "$root/"
    chmod -R u=rwX,go=rX "$root"
    chmod 0600 "$root/etc/shadow"
    chmod 1777 "$root/tmp"
    find "$root" -print0 | xargs -0 touch -h -d "@$SOURCE_DATE_EPOCH"
}

# The names of drivers that a driver says it needs.
needed_drivers() { tr '\0' '\n' <"$1" | sed -n 's/^depends=//p' | tr ',' '\n'; }

# Copies the drivers named above with all that they need.
copy_drivers() {
    local from=$1 root=$2 version modules into wanted=("${drivers[@]}") driver file needed
    version=$(basename "$from"/lib/modules/*)
    modules=$from/lib/modules/$version into=$root/lib/modules/$version
    find "$modules" -name '*.ko*' | sort >"$from/drivers"
    mkdir -p "$into"
    while [ ${#wanted[@]} -gt 0 ]; do
        driver=${wanted[0]} wanted=("${wanted[@]:1}")
        # File names have hyphens where module names may have underscores.
        if ! file=$(grep -m 1 -E "/${driver//[-_]/[-_]}\.ko(\.xz)?$" "$from/drivers"); then
            grep -q "/${driver//[-_]/[-_]}\.ko$" "$modules/modules.builtin" || fail "the kernel has no driver $driver"
            continue
        fi
        [ ! -f "$into/$(basename "${file%.xz}")" ] || continue
        cp "$file" "$into/"
        [ "$file" = "${file%.xz}" ] || xz -d "$into/$(basename "$file")"
        mapfile -t needed < <(needed_drivers "$into/$(basename "${file%.xz}")")
        for driver in "${needed[@]}"; do [ -z "$driver" ] || wanted+=("$driver"); done
    done
    "$from/bin/busybox" depmod -b "$root" "$version"
}
