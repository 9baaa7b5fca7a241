# shellcheck shell=bash
# shellcheck disable=SC2154  # settings.sh and the file of secrets set the variables
# Sourced by `up`: MariaDB, and the tables of each service.

nova_configuration=(--config-file "$configuration/nova/nova.conf")

sql() { mariadb --no-defaults --socket="$run/mariadb.sock" --skip-column-names --execute="$1"; }

start_mariadb() {
    local draft=$data/mariadb.draft
    if [ ! -d "$data/mariadb" ]; then
        # A run that was killed here leaves a draft, never half a directory.
        rm -rf "$draft"
        eatmydata mariadb-install-db --defaults-file="$configuration/mariadb.cnf" --datadir="$draft" --skip-test-db \
            --auth-root-authentication-method=socket --auth-root-socket-user="$(id -un)" \
            >"$logs/mariadb-install.log" 2>&1 ||
            { tail -n 30 "$logs/mariadb-install.log" >&2; fail "mariadb-install-db failed (output above)"; }
        mv "$draft" "$data/mariadb"
    fi
    start mariadb eatmydata mariadbd --defaults-file="$configuration/mariadb.cnf"
}

migrate_keystone() {
    local owner=(--keystone-user "$(id -un)" --keystone-group "$(id -gn)")
    local keystone=(keystone-manage --config-dir "$configuration/keystone")
    "${keystone[@]}" fernet_setup "${owner[@]}"
    "${keystone[@]}" receipt_setup "${owner[@]}"
    "${keystone[@]}" credential_setup "${owner[@]}"
    "${keystone[@]}" db_sync
    OS_BOOTSTRAP_PASSWORD=$admin_secret "${keystone[@]}" bootstrap --bootstrap-username admin \
        --bootstrap-project-name admin --bootstrap-role-name admin --bootstrap-service-name keystone \
        --bootstrap-region-id "$region" --bootstrap-public-url "$keystone_url/v3" \
        --bootstrap-internal-url "$keystone_url/v3" --bootstrap-admin-url "$keystone_url/v3"
}
migrate_glance() { glance-manage --config-file "$configuration/glance/glance-api.conf" db_sync; }
migrate_placement() { placement-manage --config-file "$configuration/placement/placement.conf" db sync; }
migrate_neutron() { neutron-db-manage --config-file "$configuration/neutron/neutron.conf" upgrade heads; }
migrate_cinder() { cinder-manage --config-file "$configuration/cinder/cinder.conf" db sync; }
migrate_nova() {
    nova-manage "${nova_configuration[@]}" api_db sync
    nova-manage "${nova_configuration[@]}" cell_v2 map_cell0
    nova-manage "${nova_configuration[@]}" db sync
    nova-manage "${nova_configuration[@]}" cell_v2 create_cell --name cell1
}

# Fills the databases of a service once. MariaDB cannot take back half a migration, so one that did not finish begins
# again with empty databases.
migrate() { # SERVICE DATABASE…
    local service=$1 database
    shift
    [ ! -e "$data/.done-migrate-$service" ] || return 0
    for database in "$@"; do
        sql "DROP DATABASE IF EXISTS $database; CREATE DATABASE $database CHARACTER SET utf8mb3;"
    done
    # A subshell of its own, so that -e holds in it although the caller asks for its status.
    (set -e; "migrate_$service") >"$logs/migrate-$service.log" 2>&1 && touch "$data/.done-migrate-$service"
}

migrate_databases() {
    local service migrations=()
    sql "CREATE USER IF NOT EXISTS openstack@'127.0.0.1' IDENTIFIED BY '$database_secret';
        GRANT ALL ON *.* TO openstack@'127.0.0.1';"
    migrate keystone keystone & migrations+=($!)
    migrate nova nova_api nova nova_cell0 & migrations+=($!)
    { migrate neutron neutron; migrate glance glance; } & migrations+=($!)
    { migrate cinder cinder; migrate placement placement; } & migrations+=($!)
    # Not for every child: MariaDB is one too. Whether they succeeded, their marks tell.
    wait "${migrations[@]}" || true
    for service in keystone nova neutron glance cinder placement; do
        if [ ! -e "$data/.done-migrate-$service" ]; then
            tail -n 30 "$logs/migrate-$service.log" >&2
            fail "the database of $service cannot be set up (output above, more in $logs/migrate-$service.log)"
        fi
    done
}

compute_host_is_registered() {
    sql "select 1 from nova.compute_nodes where host = 'fake-host' and deleted = 0" | grep -q 1
}
