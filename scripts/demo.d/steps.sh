# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # variables shared with demo
# What the demo shows, step by step, each with its check. Sourced by demo.

# Longest line that is shown of an answer.
columns=116
# How long a machine may take, in seconds: this also runs on machines without hardware virtualisation.
boot_limit=300
stop_limit=120

curl_as_user() { curl -sS --max-time 30 -H "$authorization" "$@"; }
shortened() { sed 's/\r$//' | awk -v most="$columns" '{ print "  " (length($0) > most ? substr($0, 1, most) " …" : $0) }'; }

# The value of an attribute in a text/plain rendering, without quotes.
attribute() { sed -nE "s/^X-OCCI-Attribute: $1=\"?([^\"\r]*)\"?\r?\$/\1/p" "$data/answer"; }

show_offer() {
    local relevant='^Category: ((compute|small|ssh_key|user_data|start|stop); scheme="http://schemas.ogf.org|tiny;)'
    title "What does the server offer? (lines that matter here; the whole answer has more)"
    say "\$ curl $url/-/"
    curl -sS --max-time 30 "$url/-/" >"$data/offer" || fail "the query interface does not answer"
    grep -E "$relevant" "$data/offer" | shortened
    say "  [$(grep -vcE "$relevant" "$data/offer") of $(grep -c . "$data/offer") lines left out]"
    os_template_scheme=$(sed -nE 's/^Category: tiny; .*scheme="([^"]*os_tpl#)".*/\1/p' "$data/offer")
    [ -n "$os_template_scheme" ] || fail "the published appliance is not offered"
}

write_request() {
    [ -f "$data/demo_key" ] || ssh-keygen -q -t ed25519 -N '' -C demo -f "$data/demo_key"
    cat >"$data/user-data" <<'USER_DATA'
#!/bin/sh
echo "Written by the user data of $(hostname)." >/root/welcome
USER_DATA
    cat >"$data/request.txt" <<REQUEST
Category: compute; scheme="http://schemas.ogf.org/occi/infrastructure#"; class="kind"
Category: tiny; scheme="$os_template_scheme"; class="mixin"
Category: small; scheme="http://schemas.ogf.org/occi/infrastructure/compute/template/1.1#"; class="mixin"
Category: ssh_key; scheme="http://schemas.ogf.org/occi/infrastructure/credentials#"; class="mixin"
Category: user_data; scheme="http://schemas.ogf.org/occi/infrastructure/compute#"; class="mixin"
X-OCCI-Attribute: occi.compute.hostname="classroom-1"
X-OCCI-Attribute: occi.credentials.ssh.publickey="$(cat "$data/demo_key.pub")"
X-OCCI-Attribute: occi.compute.userdata="$(base64 -w 0 "$data/user-data")"
REQUEST
}

create_machine() {
    title "Create a machine: the appliance tiny, the size small, a key, and a script to run at boot"
    write_request
    say "\$ cat $(typed "$data/user-data")"
    shortened <"$data/user-data"
    say "\$ cat $(typed "$data/request.txt")"
    shortened <"$data/request.txt"
    run_shown "curl -i -H \"Authorization: Bearer \$TOKEN\" -H 'Content-Type: text/plain' \\
    --data-binary @$(typed "$data/request.txt") $url/compute/" \
        curl_as_user -i -H 'Content-Type: text/plain' --data-binary "@$data/request.txt" "$url/compute/"
    grep -q '^HTTP/1.1 201' "$data/answer" || fail "the server did not answer 201"
    location=$(sed -nE 's/^[Ll]ocation: (.*[^\r])\r?$/\1/p' "$data/answer")
    [ -n "$location" ] || fail "the answer has no Location"
    say "\$ LOCATION=$location"
}

# watch_until STATE [SECONDS]: asks for the machine until it is in that state, and shows what changes.
watch_until() {
    local wanted=$1 limit=${2:-$boot_limit} begun=${EPOCHREALTIME/./} shown='' now state
    title "Watch it become $wanted"
    say '$ curl -H "Authorization: Bearer $TOKEN" $LOCATION   # again and again; what changes is shown'
    while :; do
        curl_as_user "$location" >"$data/answer" || fail "the machine cannot be read"
        state=$(attribute occi.compute.state)
        now="$state  $(attribute occi.compute.state.message)"
        if [ "$now" != "$shown" ]; then
            shown=$now
            printf '  %6.1f s  %s\n' "$(elapsed "$begun")" "$now"
        fi
        [ "$state" != "$wanted" ] || break
        [ "$state" != error ] || fail "the machine is in state error"
        gone "$server_pid" && fail "the server ended"
        awk -v t="$(elapsed "$begun")" -v limit="$limit" 'BEGIN { exit !(t < limit) }' ||
            fail "the machine is not $wanted after $limit s"
        sleep 0.1
    done
}
elapsed() { awk -v begun="$1" -v now="${EPOCHREALTIME/./}" 'BEGIN { print (now - begun) / 1e6 }'; }

in_guest() {
    ssh -F none -i "$data/demo_key" -p "$ssh_port" -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=60 \
        -o LogLevel=ERROR -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        "root@$ssh_host" "$@" </dev/null
}
# QEMU itself accepts connections long before the guest does, so the greeting counts.
ssh_greets() {
    local greeting=''
    { exec 3<>"/dev/tcp/$ssh_host/$ssh_port" && read -r -t 1 -N 4 greeting <&3; } 2>/dev/null || true
    { exec 3>&-; } 2>/dev/null || true
    [ "$greeting" = SSH- ]
}

# Where the guest's SSH server is reached is part of the last answer. Port numbers may change at a new start.
wait_for_guest() {
    local begun=${EPOCHREALTIME/./}
    ssh_host=$(attribute org.tombolo.compute.ssh.host)
    ssh_port=$(attribute org.tombolo.compute.ssh.port)
    [ -n "$ssh_host" ] && [ -n "$ssh_port" ] || fail "the machine has no SSH address"
    wait_until "$boot_limit" ssh_greets || fail "the guest does not answer on $ssh_host port $ssh_port"
    printf '  the guest answers on %s port %s, %.1f s later\n' "$ssh_host" "$ssh_port" "$(elapsed "$begun")"
}

# in_guest_shown COMMAND EXPECTED-PATTERN
in_guest_shown() {
    run_shown "ssh -i $(typed "$data/demo_key") -p $ssh_port root@$ssh_host '$1'" in_guest "$1"
    grep -qE "$2" "$data/answer" || fail "the guest's answer should match: $2"
}

check_machine_is_as_asked() {
    local kibibytes
    title "What the server says of it"
    say '$ curl -H "Authorization: Bearer $TOKEN" $LOCATION'
    shortened <"$data/answer"
    title "Does the guest itself answer, and is it as asked?"
    wait_for_guest
    in_guest_shown hostname '^classroom-1$'
    in_guest_shown 'cat /root/welcome' '^Written by the user data of classroom-1.$'
    in_guest_shown nproc '^1$'
    in_guest_shown 'head -n 1 /proc/meminfo' '^MemTotal:'
    # The kernel keeps some of the 1 GiB to itself.
    kibibytes=$(awk '{ print $2 }' "$data/answer")
    [ "$kibibytes" -gt 900000 ] && [ "$kibibytes" -le 1048576 ] || fail "the guest should see about 1 GiB"
    in_guest_shown 'cat /proc/sys/kernel/random/boot_id' '^[0-9a-f-]{36}$'
    first_boot=$(cat "$data/answer")
}

act() {
    local body="Category: $1; scheme=\"http://schemas.ogf.org/occi/infrastructure/compute/action#\"; class=\"action\""
    curl_as_user --fail -X POST -H 'Content-Type: text/plain' --data "$body" "$location?action=$1" \
        >"$data/whole-answer" 2>"$data/problem" || fail "the action $1: $(cat "$data/problem")"
    run_shown "curl -X POST -H \"Authorization: Bearer \$TOKEN\" -H 'Content-Type: text/plain' \\
    --data '$body' \\
    \"\$LOCATION?action=$1\" | grep state" grep state "$data/whole-answer"
}

stop_and_start_machine() {
    title "Stop it: the guest is asked by ACPI"
    act stop
    watch_until inactive "$stop_limit"
    title "Start it again"
    act start
    watch_until active
    wait_for_guest
    in_guest_shown 'cat /proc/sys/kernel/random/boot_id' '^[0-9a-f-]{36}$'
    [ "$(cat "$data/answer")" != "$first_boot" ] || fail "the guest has not booted anew"
}

entity_count() { sqlite3 -readonly "$data/tombolo.sqlite" 'select count(*) from entities'; }
machine_files() { find "$data/node/machines" -mindepth 1; }
nothing_is_left() {
    [ "$(entity_count)" = 0 ] && [ -z "$(machine_files)" ] && ! pgrep -f -- "$machine" >/dev/null
}

delete_machine() {
    title "Delete it"
    machine=$(sqlite3 -readonly "$data/tombolo.sqlite" "select backend_id from entities where id = '${location##*/}'")
    # Otherwise the search for what is left would find nothing whatever there is.
    [ -n "$machine" ] || fail "the store knows no machine of $location"
    pgrep -f -- "$machine" >/dev/null || fail "no process of machine $machine was found while it ran"
    run_shown 'curl -X DELETE -H "Authorization: Bearer $TOKEN" $LOCATION' curl_as_user --fail -X DELETE "$location"
    run_shown 'curl -o /dev/null -w "%{http_code}\n" -H "Authorization: Bearer $TOKEN" $LOCATION' \
        curl_as_user -o /dev/null -w '%{http_code}\n' "$location"
    [ "$(cat "$data/answer")" = 410 ] || fail "a deleted machine should not be found"
}

show_that_nothing_is_left() {
    local begun=${EPOCHREALTIME/./}
    title "Is anything left of machine $machine?"
    wait_until 60 nothing_is_left || true
    say "\$ pgrep -c -f $machine   # processes"
    say "  $(pgrep -c -f -- "$machine" || true)"
    say "\$ find $(typed "$data/node/machines") -mindepth 1 | wc -l   # files"
    say "  $(machine_files | wc -l)"
    say "\$ sqlite3 $(typed "$data/tombolo.sqlite") 'select count(*) from entities'   # rows"
    say "  $(entity_count)"
    nothing_is_left || fail "something is left"
    printf '  nothing, %.1f s after the deletion was accepted\n' "$(elapsed "$begun")"
}
