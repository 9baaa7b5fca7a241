//! What an older version has written is read by this one.

use diesel::{QueryDsl, RunQueryDsl, connection::SimpleConnection, migration::MigrationSource};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};
use uuid::Uuid;

use super::schema::Schema;
use crate::store::{
    Db, DbConnection, StoreError,
    connection::{POSTGRES_MIGRATIONS, SQLITE_MIGRATIONS, connect},
    entity::{EntityId, find_for_dispatch, index_entry},
    schema::entities,
};

/// Brings an empty database to the state of these migrations, and fills it with an entity of that time.
pub fn entity_of_before(address: &str) -> EntityId {
    fn migrate<DB: diesel::backend::Backend>(
        connection: &mut impl MigrationHarness<DB>,
        source: impl MigrationSource<DB>,
    ) {
        for migration in &connection.pending_migrations(source).unwrap()[..2] {
            connection.run_migration(migration).unwrap();
        }
    }
    let id = EntityId(Uuid::now_v7());
    let mut connection = connect(address).unwrap();
    match &mut connection {
        DbConnection::Postgres(connection) => migrate(connection, POSTGRES_MIGRATIONS),
        DbConnection::Sqlite(connection) => migrate(connection, SQLITE_MIGRATIONS),
    }
    let project = Uuid::now_v7();
    let attributes = serde_json::json!({
        "occi.compute.cores": 2, "occi.compute.memory": 2.0, "occi.core.title": "教室 \"1\"\n", "a.b": 0.5,
        "org.example.flag": true, "org.example.list": [1, "2"], "org.example.key": "k".repeat(300),
    });
    connection
        .batch_execute(&format!(
            "INSERT INTO projects (id, name, created_at) VALUES ('{project}', 'former', 1);
             INSERT INTO entities (id, project_id, kind, mixins, attributes, state, site, placement, specification,
                                   machine, facts, version, created_at, updated_at)
             VALUES ('{id}', '{project}', 'http://schemas.ogf.org/occi/infrastructure#compute',
                     '[\"http://b#b\",\"http://a#a\"]', '{attributes}', 'active', 'former', '{{}}', '{{}}', 'vm-1',
                     '{{\"endpoints\":[],\"console\":null,\"guest_answers\":null}}', 1, 1, 1);"
        ))
        .unwrap();
    id
}

/// The entity is read, and found as if it had been written by this version.
pub async fn entity_is_found(db: &Db, id: EntityId) {
    let (entity, migrated) =
        db.read(move |c| Ok((find_for_dispatch(c, id)?.unwrap(), index_entry(c, id)?))).await.unwrap();
    assert_eq!((entity.backend_id.as_deref(), entity.source, entity.target.as_ref()), (Some("vm-1"), None, None));
    let rewritten = db
        .write(move |connection| {
            crate::store::entity::set_description(connection, id, &entity.mixins, &entity.attributes)?;
            index_entry(connection, id)
        })
        .await
        .unwrap();
    assert_eq!(migrated.0, rewritten.0);
    assert_eq!(migrated.0, ["http://b#b", "http://a#a"]);
    let mut expected = rewritten.1;
    assert!(expected.remove("org.example.key").unwrap().starts_with("sha256:"), "long values wait for a write");
    assert_eq!(migrated.1, expected);
}

/// The migrations since then can be taken back and made again.
pub fn back_and_forth(address: &str) -> Result<(), StoreError> {
    const SINCE: usize = 6;
    let mut connection = connect(address)?;
    for _ in 0..SINCE {
        match &mut connection {
            DbConnection::Postgres(connection) => connection.revert_last_migration(POSTGRES_MIGRATIONS).unwrap(),
            DbConnection::Sqlite(connection) => connection.revert_last_migration(SQLITE_MIGRATIONS).unwrap(),
        };
    }
    diesel::sql_query("SELECT machine FROM entities").execute(&mut connection)?;
    Ok(())
}

/// All of them can be taken back one after the other and made again, with data in the tables, and end as they began.
pub fn down_and_up(address: &str) {
    let before = Schema::of(address);
    let mut connection = connect(address).unwrap();
    let id = Uuid::now_v7();
    connection
        .batch_execute(&format!(
            "INSERT INTO events (id, at, kind, project_id, body, position, seal)
             VALUES ('{id}', 1, 'test', '{id}', '{{}}', 1, '');
             INSERT INTO revisions VALUES ('events', 1);
             INSERT INTO reservations VALUES ('{id}', '{id}', 'lab', 1, 1, 1, 1, 1, '{id}');
             INSERT INTO idempotency_keys VALUES ('{id}', 'key', 'of', 'answer', 1);
             INSERT INTO orphans VALUES ('{id}', 'lab', 'machine', 'vm-1', 'tag', 'why', '{{}}', 1, 1);
             INSERT INTO replicas VALUES ('me', 1, 1);
             INSERT INTO watches VALUES ('lab', 'me');"
        ))
        .unwrap();
    let entities: i64 = entities::table.count().get_result(&mut connection).unwrap();
    assert!(entities > 0, "there is something to be kept");
    match &mut connection {
        DbConnection::Postgres(connection) => down_then_up(connection, || POSTGRES_MIGRATIONS),
        DbConnection::Sqlite(connection) => down_then_up(connection, || SQLITE_MIGRATIONS),
    }
    before.assert_same(&Schema::of(address));
}

fn down_then_up<DB: diesel::backend::Backend>(
    connection: &mut impl MigrationHarness<DB>,
    source: fn() -> EmbeddedMigrations,
) where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let down = connection.revert_all_migrations(source()).unwrap().len();
    let up = connection.run_pending_migrations(source()).unwrap().len();
    assert!(down == up && up > 4, "{down} down, {up} up");
}
