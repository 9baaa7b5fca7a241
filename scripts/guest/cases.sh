# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # variables shared with test-guest
# The boots that test-guest does, and what must hold in each. Sourced by test-guest.

tiny_cases() {
    image_case
    no_cloud_case
    config_drive_case
    fat_seed_case
    bare_case
}

image_case() {
    case_name="image"
    check "has one active FAT partition" equals \
        "$(sfdisk -q --json "$image" | jq -c '.partitiontable | [.label, (.partitions[] | .start, .type, .bootable)]')" \
        '["dos",2048,"e",true]'
    if [ -z "${TOMBOLO_TEST_GUEST:-}" ]; then
        check "two builds are equal" "$here/build-guest" --check-deterministic
    fi
}

# As our own node driver seeds: JSON metadata on an ISO, as a virtio disk.
no_cloud_case() {
    case_name="NoCloud"
    mkdir "$work/nocloud"
    jq -n --arg key "$(cat "$work/mine.pub")" \
        '{"instance-id": "i-nocloud", "local-hostname": "classroom-1", "public-keys": [$key]}' >"$work/nocloud/meta-data"
    # Run last: the SSH server listens and the network is there when the script begins.
    cat >"$work/nocloud/user-data" <<'SCRIPT'
#!/bin/sh
echo "written by user data" >/root/effect
hostname >>/root/effect
ip route | grep -c '^default' >>/root/effect
grep -c ':0016 .* 0A ' /proc/net/tcp >>/root/effect
SCRIPT
    iso_seed nocloud cidata
    start_machine nocloud pc 2 96 -drive "file=$work/nocloud.iso,if=virtio,format=raw,readonly=on"
    check "boots" wait_until "$boot_seconds" says "tombolo-guest: boot finished"
    check "tells of user data's end" says "user data ended with status 0"
    check "answers by the injected key" wait_until 60 answers
    check "refuses another key" refused foreign
    check "host name" equals "$(in_guest hostname)" classroom-1
    check "user data's effect" equals "$(in_guest cat /root/effect | tr '\n' ,)" "written by user data,classroom-1,1,1,"
    check "processors" equals "$(in_guest nproc)" 2
    check_memory 96
    check "clock" within "$(($(in_guest date +%s) - $(date +%s)))" -60 60
    first_host_key=$(host_key)
    check "host key is the announced one" grep -qF "${first_host_key#* }" "$serial"
    check_power_off
    start_machine nocloud pc 2 96 -drive "file=$work/nocloud.iso,if=virtio,format=raw,readonly=on"
    check "starts again" wait_until "$boot_seconds" says "tombolo-guest: boot finished"
    check "keeps its host key" equals "$(host_key)" "$first_host_key"
    stop_hard
}

# As OpenStack seeds, with a key of cloud-init's language beside; a CD, one processor.
config_drive_case() {
    case_name="ConfigDrive"
    mkdir -p "$work/config/openstack/latest"
    jq -n --arg key "$(cat "$work/mine.pub")" \
        '{uuid: "0b5e2d3c-config", hostname: "lab-2.example.org", public_keys: {mykey: ($key + "\n")},
          meta: {note: "quoted \"text\" / {not: a list}"}, keys: [{type: "ssh", data: $key}]}' \
        >"$work/config/openstack/latest/meta_data.json"
    printf '#cloud-config\nssh_authorized_keys:\n  - %s\n' "$(cat "$work/second.pub")" \
        >"$work/config/openstack/latest/user_data"
    iso_seed config config-2
    start_machine config pc 1 256 -drive "file=$work/config.iso,if=ide,media=cdrom,format=raw"
    check "boots" wait_until "$boot_seconds" says "tombolo-guest: boot finished"
    check "answers by the metadata's key" wait_until 60 answers
    check "answers by user data's key" in_guest_with second true
    check "refuses another key" refused foreign
    check "host name" equals "$(in_guest hostname)" lab-2.example.org
    check "processors" equals "$(in_guest nproc)" 1
    check_memory 256
    check "each instance has its own host key" different "$(host_key)" "$first_host_key"
    check_power_off
}
different() { [ -n "$1" ] && [ "$1" != "$2" ]; }

# YAML metadata on FAT with a capital label; the other machine type, two network cards.
fat_seed_case() {
    case_name="FAT seed"
    mkdir "$work/fat"
    printf 'instance-id: i-fat\nlocal-hostname: "island-3"\npublic-keys:\n  - %s\n' "$(cat "$work/mine.pub")" \
        >"$work/fat/meta-data"
    printf '#!/bin/bash\nexit 7\n' >"$work/fat/user-data"
    fat_seed fat CIDATA
    start_machine fat q35 3 128 -drive "file=$work/fat.fat,if=virtio,format=raw,readonly=on" \
        -netdev user,id=net1,net=10.9.8.0/24 -device virtio-net-pci,netdev=net1
    check "boots" wait_until "$boot_seconds" says "tombolo-guest: boot finished"
    check "tells of user data's failure" says "user data ended with status 7"
    check "answers by the injected key" wait_until 60 answers
    check "host name" equals "$(in_guest hostname)" island-3
    check "processors" equals "$(in_guest nproc)" 3
    check "an address on every card" wait_until 60 has_addresses 2
    check_power_off
}
has_addresses() { [ "$(in_guest ip -o -4 addr show scope global | grep -c inet)" = "$1" ]; }

# Without a seed.
bare_case() {
    case_name="bare"
    start_machine bare pc 1 96
    check "boots" wait_until "$boot_seconds" says "tombolo-guest: boot finished"
    check "lets nobody in" refused mine
    check "says that there is no seed" says "seed none, instance none, 0 keys"
    check_power_off
}

debian_cases() {
    case_name="Debian"
    mkdir "$work/debian"
    jq -n --arg key "$(cat "$work/mine.pub")" \
        '{"instance-id": "i-debian", "local-hostname": "lecture-1", "public-keys": [$key]}' >"$work/debian/meta-data"
    printf '#!/bin/sh\necho "written by user data" >/var/tmp/effect\n' >"$work/debian/user-data"
    iso_seed debian cidata
    qemu-img create -q -f qcow2 -b "$image" -F raw "$work/debian.qcow2" 4G
    start_machine debian q35 2 512 -drive "file=$work/debian.iso,if=virtio,format=raw,readonly=on"
    check "answers by the injected key" wait_until "$boot_seconds" answers
    check "refuses another key" refused foreign
    check "cloud-init ends well" in_guest timeout "$boot_seconds" cloud-init status --wait
    check "host name" equals "$(in_guest hostname)" lecture-1
    check "user data's effect" equals "$(in_guest cat /var/tmp/effect)" "written by user data"
    check "processors" equals "$(in_guest nproc)" 2
    check_memory 512
    check "file system fills the disk" within "$(in_guest df --output=size -m / | tail -n 1)" 3500 4096
    check "becomes root" equals "$(in_guest sudo id -u)" 0
    check "resolves names by the network's server" in_guest grep -q nameserver /etc/resolv.conf
    check "nothing failed" equals "$(in_guest systemctl --failed --no-legend)" ""
    first_host_key=$(host_key)
    check_power_off
    start_machine debian q35 2 512 -drive "file=$work/debian.iso,if=virtio,format=raw,readonly=on"
    check "starts again" wait_until "$boot_seconds" answers
    check "keeps its host key" equals "$(host_key)" "$first_host_key"
    check_power_off
}
