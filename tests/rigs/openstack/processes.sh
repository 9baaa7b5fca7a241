# shellcheck shell=bash
# shellcheck disable=SC2154  # settings.sh and the file of secrets set the variables
# Sourced after settings.sh: starts, watches and stops the rig's processes. Each one leads a session and a process group
# of its own, and works in a directory below $run; $processes/NAME holds its id and its start time, so that neither a
# zombie nor a stranger with the same id is taken for it.

# The start time of a process in clock ticks since boot; nothing when it is gone or a zombie.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }'; }

is_alive() { # NAME
    local id started
    [ -s "$processes/$1" ] && read -r id started <"$processes/$1" &&
        [ -n "$started" ] && [ "$(start_time "$id")" = "$started" ]
}

# Kills what is left of a process' group. A group outlives its leader, and its number is not given anew meanwhile; the
# directory makes sure that it is the same group. (Command line and environment would not do: OpenStack's services
# write over both.)
kill_the_rest() { # NAME
    local id _ member
    [ -s "$processes/$1" ] && read -r id _ <"$processes/$1" || return 0
    for member in $(pgrep -g "$id" || true); do
        case "$(readlink "/proc/$member/cwd" 2>/dev/null || true)" in
            "$run"/*) kill -KILL "$member" 2>/dev/null || true ;;
        esac
    done
}

# When this run started its first process, in seconds since the epoch; 0 while it has started none.
first_start=0

port_is_open() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start() { # NAME COMMAND…
    local name=$1 id
    shift
    if is_alive "$name"; then return 0; fi
    kill_the_rest "$name"
    if [ -n "${port[$name]:-}" ] && port_is_open "${port[$name]}"; then
        fail "port ${port[$name]} for $name is taken by a process that is not this rig's: stop it, or set" \
            "TOMBOLO_OPENSTACK_PORT_SHIFT to a number that is added to every port"
    fi
    # Without 9>&- the processes would hold the lock of `up` for as long as they live.
    (cd "$processes" && exec setsid "$@" </dev/null >>"$logs/$name.log" 2>&1 9>&-) &
    id=$!
    echo "$id $(start_time "$id")" >"$processes/$name"
    [ "$first_start" -ne 0 ] || first_start=$(date +%s)
}

await() { # NAME SECONDS COMMAND…: until the command succeeds
    local name=$1 deadline=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ! is_alive "$name"; then
            tail -n 30 "$logs/$name.log" >&2
            fail "$name has ended (output above, more in $logs/$name.log)"
        fi
        if [ $SECONDS -ge $deadline ]; then
            tail -n 30 "$logs/$name.log" >&2
            fail "$name does not answer in time (output above, more in $logs/$name.log)"
        fi
        sleep 0.2
    done
}

stop() { # NAME [SECONDS]: asks, then kills
    local name=$1 id _ deadline=$((SECONDS + ${2:-5}))
    if is_alive "$name"; then
        read -r id _ <"$processes/$name"
        kill -TERM "$id" 2>/dev/null || true
        while is_alive "$name" && [ $SECONDS -lt $deadline ]; do sleep 0.1; done
        if is_alive "$name"; then kill -KILL -- "-$id" 2>/dev/null || true; fi
    fi
    kill_the_rest "$name"
    rm -f "$processes/$name"
}
