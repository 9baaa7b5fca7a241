# shellcheck shell=bash
# Sourced by every script of this rig: paths and ports.
# shellcheck disable=SC2034  # each script uses some of these
rig=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
state=$(realpath -m "${TOMBOLO_OPENSTACK_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/tombolo/openstack}")
environment=$state/python
run=$state/run
configuration=$run/configuration logs=$run/logs processes=$run/processes data=$run/data secrets=$run/secrets
region=RegionOne

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
fail() { say "$*"; exit 1; }

shift_of_ports=${TOMBOLO_OPENSTACK_PORT_SHIFT:-0}
# 55000 keeps the highest port, Neutron's, below 65536.
if ! [[ "$shift_of_ports" =~ ^(0|[1-9][0-9]{0,4})$ ]] || [ "$shift_of_ports" -gt 55000 ]; then
    fail "TOMBOLO_OPENSTACK_PORT_SHIFT is \"$shift_of_ports\": give a number from 0 to 55000, added to every port"
fi
declare -A port=(
    [mariadb]=$((3306 + shift_of_ports))
    [epmd]=$((4369 + shift_of_ports))
    [rabbitmq]=$((5672 + shift_of_ports))
    [rabbitmq-distribution]=$((5673 + shift_of_ports))
    [keystone]=$((5000 + shift_of_ports))
    # What the consoles lead to, and Nova's proxies in front of it.
    [console-server]=$((5900 + shift_of_ports))
    [console-server-serial]=$((5901 + shift_of_ports))
    [nova-novncproxy]=$((6080 + shift_of_ports))
    [nova-serialproxy]=$((6083 + shift_of_ports))
    [nova-api]=$((8774 + shift_of_ports))
    [cinder-api]=$((8776 + shift_of_ports))
    [placement]=$((8778 + shift_of_ports))
    [glance]=$((9292 + shift_of_ports))
    [neutron]=$((9696 + shift_of_ports))
)
keystone_url=http://127.0.0.1:${port[keystone]}
glance_url=http://127.0.0.1:${port[glance]}
placement_url=http://127.0.0.1:${port[placement]}
nova_url=http://127.0.0.1:${port[nova-api]}
neutron_url=http://127.0.0.1:${port[neutron]}
cinder_url=http://127.0.0.1:${port[cinder-api]}
