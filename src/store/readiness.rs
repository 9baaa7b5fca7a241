//! Whether the database does what it is there for.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use uuid::Uuid;

use super::{Db, StoreError, schema::watches};

/// Reads a little, and writes a little that nobody else ever sees.
///
/// # Errors
/// The database can be reached no more, or takes no writes.
pub async fn check(db: &Db) -> Result<(), StoreError> {
    db.read(|connection| Ok(watches::table.select(watches::site).limit(1).load::<String>(connection)?)).await?;
    // A name that no site may have, and no other check has. What is inserted and deleted in one transaction still has
    // to find its way to the disk.
    let name = format!("readiness {}", Uuid::now_v7());
    db.write(move |connection| {
        diesel::insert_into(watches::table)
            .values((watches::site.eq(&name), watches::owner.eq("")))
            .execute(connection)?;
        diesel::delete(watches::table.filter(watches::site.eq(&name))).execute(connection)?;
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_check_leaves_nothing_and_notices_that_nothing_can_be_written() {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open(directory.path().join("t.sqlite").to_str().unwrap()).unwrap();
        check(&db).await.unwrap();
        let left: i64 = db.read(|connection| Ok(watches::table.count().get_result(connection)?)).await.unwrap();
        assert_eq!(left, 0);
        db.write(|connection| {
            diesel::sql_query("CREATE TRIGGER full BEFORE INSERT ON watches BEGIN SELECT RAISE(ABORT, 'disk'); END")
                .execute(connection)?;
            Ok(())
        })
        .await
        .unwrap();
        assert!(check(&db).await.unwrap_err().to_string().contains("disk"));
    }
}
