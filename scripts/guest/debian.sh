# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # variables shared with build-guest
# A full Debian of the host's release with cloud-init: GRUB, and one ext4 partition that cloud-init grows.
# Sourced by build-guest.

install_group=guest-debian
tool_packages=(mmdebstrap e2fsprogs fdisk tar)
disk_mib=2048
file_system_id=746f6d62-6f6c-4f00-8000-646562696130

included=(
    linux-image-cloud-amd64 grub-common grub-pc-bin systemd-sysv dbus libpam-systemd systemd-resolved
    cloud-init cloud-guest-utils fdisk openssh-server sudo
    ca-certificates curl iproute2 less nano procps
)

# mmdebstrap resolves by itself; this asks apt what it will come to, from nothing installed.
list_packages() {
    apt-get "${apt_options[@]}" -o Dir::State::status=/dev/null --simulate --no-install-recommends install \
        apt '?essential' '?priority(required)' "${included[@]}" 2>/dev/null |
        sed -nE 's/^Inst ([^ ]+) \(([^ ]+) .*/\1 \2/p' | sort >"$work/packages"
    [ -s "$work/packages" ]
}

# Debian's own suites among the system's, so that a local mirror and security updates are used.
package_sources() {
    # shellcheck disable=SC2016  # apt's own variables
    apt-get "${apt_options[@]}" indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' \
        'Created-By: Packages' 'Origin: Debian' | grep -v -- '-backports ' | sort -u |
        sed 's|^|deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] |'
}

# Files of the image belong to many users, whom only root, or a user namespace, can tell apart.
as_owner_of_files() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else mmdebstrap --unshare-helper "$@"; fi
}

build_image() {
    local directory=$1 image=$2 file_system=$1/root.ext4
    package_sources >"$directory/sources.list"
    say "installing $(wc -l <"$work/packages") packages: some minutes"
    mmdebstrap --quiet --variant=minbase --include="${included[*]}" --skip=output/dev \
        --aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook="$here/guest/debian/customize \"\$1\" \"$directory\" $file_system_id" \
        "$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)" "$directory/root.tar" - <"$directory/sources.list" >"$work/mmdebstrap.log" 2>&1 ||
        { tail -n 30 "$work/mmdebstrap.log" >&2; fail "mmdebstrap failed"; }
    say "writing the file system"
    as_owner_of_files "$here/guest/debian/make-file-system" "$directory" "$file_system" $((disk_mib - 1)) \
        "$file_system_id" >&2
    truncate -s "${disk_mib}M" "$image"
    printf 'label: dos\nlabel-id: 0x746f6d64\nstart=2048, type=83, bootable\n' | sfdisk -q "$image" >&2
    # GRUB's boot sector expects the rest of GRUB right behind it, in the gap before the first partition.
    dd if="$directory/boot.img" of="$image" bs=440 count=1 conv=notrunc status=none
    dd if="$directory/core.img" of="$image" bs=512 seek=1 conv=notrunc status=none
    dd if="$file_system" of="$image" bs=1M seek=1 conv=notrunc,sparse status=none
}
