# shellcheck shell=bash
# shellcheck disable=SC2154  # variables shared with build-guest
# Exact Debian packages: which version the archive offers, its digest, and its unpacked files. Sourced by build-guest.

apt_options=()

# The system's package lists serve if there are any. A private copy needs no root to be brought up to date.
use_private_lists() {
    local state=$cache/apt
    mkdir -p "$state/lists/partial" "$state/archives/partial"
    apt_options=(-o "Dir::State=$state" -o "Dir::State::Lists=$state/lists" -o Dir::State::status=/var/lib/dpkg/status
        -o "Dir::Cache=$state" -o "Dir::Cache::Archives=$state/archives"
        -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Acquire::Retries=3)
    apt-get -qq "${apt_options[@]}" update >"$work/apt.log" 2>&1 ||
        { cat "$work/apt.log" >&2; fail "cannot read Debian's package lists"; }
}

# Kernel packages carry their version in their name; the package without one depends on the newest.
newest_kernel() {
    apt-cache "${apt_options[@]}" show --no-all-versions "linux-image-$1-amd64" 2>/dev/null |
        sed -nE 's/^Depends: (linux-image-[0-9][^ ,]*).*/\1/p' | head -n 1
}

# Writes "name version sha256" of each named package to $work/packages; fails when one is not in the lists. All are
# asked for at once, since apt-cache may have to read the lists anew each time.
list_named_packages() {
    apt-cache "${apt_options[@]}" show --no-all-versions "$@" 2>/dev/null | awk '
        function end_stanza() { if (digest != "") print name, version, digest; digest = "" }
        /^Package:/ { name = $2 } /^Version:/ { version = $2 } /^SHA256:/ { digest = $2 }
        /^$/ { end_stanza() }
        END { end_stanza() }' | sort >"$work/packages"
    [ "$(wc -l <"$work/packages")" -eq $# ]
}

# Decides on the exact packages, with list_packages of the guest.
resolve_packages() {
    if [ -z "${BUILD_GUEST_FRESH_LISTS:-}" ] && list_packages; then return; fi
    use_private_lists
    list_packages || fail "Debian's archive lacks one of the packages of $guest"
}

# Lists that are older than the archive name packages that are gone: begins anew with fresh ones, once.
begin_anew() {
    if [ -n "${BUILD_GUEST_FRESH_LISTS:-}" ]; then
        cat "$work/apt.log" >&2
        fail "cannot download $1"
    fi
    say "cannot download $1: reading fresh package lists"
    rm -rf "$work"
    BUILD_GUEST_FRESH_LISTS=1 exec "$here/build-guest" "${arguments[@]}"
}

download_package() {
    (cd "$work/download" && apt-get -qq "${apt_options[@]}" download "$1=$2" >"$work/apt.log" 2>&1 </dev/null)
}

# Unpacks all packages of $work/packages into a directory. Downloads are kept until a newer version is wanted.
unpack_packages() {
    local into=$1 name version digest kept=$cache/packages file
    mkdir -p "$kept" "$work/download" "$into"
    while read -r name version digest; do
        file=$kept/$digest.deb
        if ! sha256sum --check --status <<<"$digest  $file" 2>/dev/null; then
            rm -f "$work/download"/*
            download_package "$name" "$version" || begin_anew "$name $version"
            mv "$work/download"/*.deb "$file"
            sha256sum --check --status <<<"$digest  $file" || fail "$name $version is not what the package list says"
        fi
        dpkg-deb -x "$file" "$into"
        touch "$file"
    done <"$work/packages"
    find "$kept" -name '*.deb' -mtime +30 -delete
}
