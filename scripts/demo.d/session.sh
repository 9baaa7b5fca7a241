# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # variables shared with demo
# What the demo stands on: programs, a data directory, a server; and how all of it ends. Sourced by demo.

marker=.tombolo-demo
address=127.0.0.1:8787
server_pid=''
# What a developer has configured must not change what is shown.
unset TOMBOLO_CONFIG TOMBOLO_DATA_DIR TOMBOLO_DATABASE TOMBOLO_LOG

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
# A path as one would type it here.
typed() { realpath -m --relative-base="$PWD" "$1"; }
say() { printf '%s\n' "$@"; }
title() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }
progress() { printf 'demo: %s\n' "$*" >&2; }

# Ends the demo, with the server's last words.
fail() {
    progress "FAILED: $*"
    if [ -s "$data/server.log" ]; then
        progress "the last lines of $data/server.log:"
        tail -n 20 "$data/server.log" | cut -c 1-300 >&2
    fi
    exit 1
}

# wait_until SECONDS COMMAND...: looks five times a second.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}

prepare_tools() {
    "$here/install-dependencies" build run guest
    progress "building Tombolo; the first time takes minutes"
    (cd "$checkout" && cargo build --release --locked --quiet) || fail "Tombolo does not build"
    tombolo=$(cd "$checkout" && cargo metadata --format-version 1 --no-deps --locked --offline |
        jq -r .target_directory)/release/tombolo
    guest_image=$("$here/build-guest") || fail "the guest image does not build"
}

# An earlier demo's directory is replaced; a directory that no demo made is never touched.
prepare_data_directory() {
    if [ -e "$data/$marker" ]; then
        # Two demos would take each other's machines away.
        exec 9>>"$data/$marker"
        flock -n 9 || fail "another demo uses $data; end it, or choose another directory with --data-dir"
        end_machines
        find "$data" -mindepth 1 -maxdepth 1 ! -name "$marker" -exec rm -rf {} +
    else
        [ -z "$(ls -A "$data" 2>/dev/null)" ] ||
            fail "$data is not a demo's directory and not empty; choose another with --data-dir"
        mkdir -p "$data"
        exec 9>>"$data/$marker"
        flock -n 9 || fail "another demo uses $data"
    fi
    : >"$data/server.log"
    : >"$data/server.out"
}

# Machines outlive the server on purpose; the demo's own are deleted before it ends.
delete_machines() {
    [ -n "${authorization:-}" ] && ! gone "$server_pid" || return 0
    curl -sS --max-time 30 -o /dev/null -X DELETE -H "$authorization" "$url/compute/" 2>/dev/null || return 0
    wait_until 30 no_machines || true
}
no_machines() { [ -z "$(ls -A "$data/node/machines" 2>/dev/null)" ]; }

# What an earlier demo left when it was killed, or when its server was: found by the process ids that the node wrote
# down, if those processes still work in the machines' directories.
end_machines() {
    local file pid
    for file in "$data"/node/machines/*/pid; do
        [ -f "$file" ] || continue
        read -r pid _ <"$file" || true
        [[ $pid =~ ^[0-9]+$ ]] && [ "$(readlink "/proc/$pid/cwd")" = "$(realpath "$(dirname "$file")")" ] || continue
        kill "$pid" 2>/dev/null || true
        wait_until 10 gone "$pid" || kill -9 "$pid" 2>/dev/null || true
    done
}
gone() { ! kill -0 "$1" 2>/dev/null; }

end_session() {
    local status=$?
    trap '' INT TERM HUP
    if [ -n "$server_pid" ]; then
        delete_machines
        kill "$server_pid" 2>/dev/null || true
        wait_until 20 gone "$server_pid" || kill -9 "$server_pid" 2>/dev/null || true
        wait "$server_pid" 2>/dev/null || true
        end_machines
    fi
    exit "$status"
}

port_is_taken() { (exec 3<>"/dev/tcp/${address%:*}/${address#*:}") 2>/dev/null; }
server_listens() { grep -q '^listening on ' "$data/server.out"; }
server_listens_or_ended() { server_listens || gone "$server_pid"; }

start_server() {
    local listen=()
    if port_is_taken; then
        progress "port ${address#*:} is taken; the server gets another one by --listen 127.0.0.1:0"
        listen=(--listen 127.0.0.1:0)
    fi
    title "Start the server"
    say "\$ export PATH=$(typed "$(dirname "$tombolo")"):\$PATH TOMBOLO_DATA_DIR=$(typed "$data")"
    say "\$ tombolo serve ${listen[*]}"
    # In a session of its own, so that Ctrl-C ends the demo, which then ends the server.
    setsid "$tombolo" serve --data-dir "$data" "${listen[@]}" >"$data/server.out" 2>"$data/server.log" </dev/null 9>&- &
    server_pid=$!
    wait_until 60 server_listens_or_ended || fail "the server does not listen after 60 s"
    server_listens || fail "the server ended at once"
    sed 's/^/  /' "$data/server.out"
    url=$(sed -nE 's/^listening on (http:[^ ]*[^/ ]).*/\1/p' "$data/server.out")
}

# run_shown COMMAND-AS-TYPED COMMAND...: prints the command and its answer.
run_shown() {
    local typed=$1
    shift
    say "\$ $typed"
    "$@" >"$data/answer" 2>"$data/problem" || { cat "$data/answer" "$data/problem" >&2; fail "this command: $typed"; }
    # awk also ends a last line that has no end.
    awk '{ sub(/\r$/, ""); print "  " $0 }' "$data/answer"
}

publish_guest() {
    title "Publish the guest image as an appliance"
    run_shown "tombolo catalog publish $(typed "$guest_image") --name tiny --title 'Tiny Linux'" \
        "$tombolo" catalog publish "$guest_image" --name tiny --title 'Tiny Linux' --data-dir "$data"
}

make_token() {
    title "Get a token"
    say "\$ TOKEN=\$(tombolo token create --user demo --project demo)"
    token=$("$tombolo" token create --user demo --project demo --data-dir "$data") || fail "no token was made"
    authorization="Authorization: Bearer $token"
}

keep_serving() {
    cat <<HOW

The server goes on. In another terminal:
  export TOKEN=$token TOMBOLO_DATA_DIR=$data
  curl $url/-/
  curl -H "Authorization: Bearer \$TOKEN" -H 'Content-Type: text/plain' \\
    --data-binary @$data/request.txt $url/compute/
  curl -H "Authorization: Bearer \$TOKEN" $url/compute/
  curl -H "Authorization: Bearer \$TOKEN" -H 'Accept: application/occi+json' $url/compute/
  ssh -i $data/demo_key -p PORT root@HOST   # both are attributes of a compute
  $tombolo --help
Everything lies in $data; the server's log is $data/server.log.
Ctrl-C ends the server and the machines that it has started by then.
HOW
    trap 'exit 0' INT TERM HUP
    wait "$server_pid" || true
    fail "the server ended by itself"
}
