# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034
# A `tombolo serve` with a simulated site, a published appliance and a token. Sourced; uses $binary and $work.

server='' token='' server_process=''

# start_server NAME: with a data directory of its own; sets $server and $token.
start_server() {
    local home=$work/server-$1 tries=0
    mkdir -p "$home"
    printf '[[site]]\nname = "lab"\nadapter = { kind = "simulator" }\n' >"$home/tombolo.toml"
    export TOMBOLO_CONFIG=$home/tombolo.toml TOMBOLO_DATA_DIR=$home/data
    truncate -s 1M "$home/blank.raw"
    "$binary" catalog publish "$home/blank.raw" --name blank --title 'An empty disk' >"$home/log" 2>&1 || return 1
    token=$("$binary" token create --user anna --project class 2>>"$home/log") || return 1
    "$binary" serve --listen 127.0.0.1:0 >"$home/said" 2>>"$home/log" &
    server_process=$!
    until server=$(sed -n 's|^listening on \(http://.*\)/$|\1|p' "$home/said") && [ -n "$server" ]; do
        kill -0 "$server_process" 2>/dev/null && [ $((tries += 1)) -lt 600 ] || return 1
        sleep 0.1
    done
}

stop_server() {
    [ -n "$server_process" ] || return 0
    kill -INT "$server_process" 2>/dev/null
    wait "$server_process" 2>/dev/null
    server_process=''
}
