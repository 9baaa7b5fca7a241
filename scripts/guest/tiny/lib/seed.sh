# Reads what the machine is told about itself: a NoCloud or ConfigDrive volume.
# Sets seed_source (empty when there is none), seed_instance and seed_hostname; writes root's authorized keys and
# /run/user-data.
# Starting a program is slow on an emulated processor, so work is left to few awk programs.

# A seed is somebody else's input: more than this many bytes of one file are not read.
seed_limit=65536

# Prints "DEVICE LABEL" of each block device that holds a file system which seeds use, labels in lower case.
list_volumes() {
    for block in /sys/class/block/*; do
        block=${block##*/}
        case $block in loop* | ram* | fd*) continue ;; esac
        # First sector, and the volume descriptor of ISO 9660, in one line each.
        { dd if="/dev/$block" bs=512 count=1; dd if="/dev/$block" bs=2048 skip=16 count=1; } 2>/dev/null |
            xxd -p -c 2560 | sed "s/^/$block /"
    done | awk -f /lib/volume_label.awk
}

# Copies a file of the mounted seed to the second name. Plain ISO 9660 names are in capitals without a hyphen.
copy_from_seed() {
    found=/run/seed/$1
    [ -f "$found" ] || found=$(find /run/seed -type f | awk -v wanted="/run/seed/$1" '
        function plain(name) { name = tolower(name); gsub("_", "-", name); sub(/\.?;1$/, "", name); return name }
        plain($0) == plain(wanted) { print; exit }')
    [ -n "$found" ] && head -c "$seed_limit" "$found" >"$2"
}

read_seed() {
    device='' source='' meta_data='' user_data=''
    list_volumes >/run/volumes
    while read -r block label; do
        case $label in
        cidata) source=NoCloud meta_data=meta-data user_data=user-data ;;
        config-2) source=ConfigDrive meta_data=openstack/latest/meta_data.json user_data=openstack/latest/user_data ;;
        *) continue ;;
        esac
        device=/dev/$block
        break
    done </run/volumes
    if [ -n "$device" ]; then
        mkdir -p /run/seed
        mount -t iso9660 -o ro "$device" /run/seed 2>/dev/null || mount -t vfat -o ro "$device" /run/seed
        copy_from_seed "$meta_data" /run/meta-data
        copy_from_seed "$user_data" /run/user-data.raw && accept_user_data
        umount /run/seed
    fi
    [ -e /run/meta-data ] || : >/run/meta-data
    awk -f /lib/flatten.awk /run/meta-data | awk -f /lib/identity.awk >/run/identity
    while read -r name value; do
        case $name in
        instance) seed_instance=$value ;;
        hostname) seed_hostname=$value ;;
        key) echo "$value" >>/root/.ssh/authorized_keys ;;
        esac
    done </run/identity
    seed_source=$source
}

# A script is kept for the end of the boot; of cloud-init's own language only the keys are understood.
accept_user_data() {
    read -r first_line </run/user-data.raw
    case $first_line in
    '#!'*)
        mv /run/user-data.raw /run/user-data
        chmod 700 /run/user-data
        ;;
    '#cloud-config'*)
        sed 1d /run/user-data.raw | awk -f /lib/flatten.awk | awk -f /lib/identity.awk |
            sed -n 's/^key //p' >>/root/.ssh/authorized_keys
        ;;
    esac
}
