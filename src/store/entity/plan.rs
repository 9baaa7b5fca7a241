//! How SQLite goes about a selection: by an index, never through the whole table.

use diesel::{
    Connection, QueryResult, RunQueryDsl,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Integer, Text},
};
use occi_schema::{AttributeName, Value, well_known::COMPUTE};
use uuid::Uuid;

use super::*;
use crate::store::{Db, member::ProjectId};

type Backend = <DbConnection as Connection>::Backend;

/// `EXPLAIN QUERY PLAN` before a query.
struct Explained<Q>(Q);

impl<Q> QueryId for Explained<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Explained<Q> {
    type SqlType = (Integer, Integer, Integer, Text);
}

impl<Q> RunQueryDsl<DbConnection> for Explained<Q> {}

impl<Q: QueryFragment<Backend>> QueryFragment<Backend> for Explained<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Backend>) -> QueryResult<()> {
        out.push_sql("EXPLAIN QUERY PLAN ");
        self.0.walk_ast(out.reborrow())
    }
}

fn plan(selection: Selection, after: Option<EntityId>) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path().join("t.sqlite").to_str().unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let read = db.read(move |connection| {
        let query = selection::matching(&selection, after)?.order(entities::id.asc()).limit(500);
        let rows: Vec<(i32, i32, i32, String)> =
            Explained(query.select((entities::id, entities::kind))).load(connection)?;
        Ok(rows.into_iter().map(|row| row.3).collect())
    });
    runtime.block_on(read).unwrap()
}

fn selection() -> Selection {
    Selection::of(ProjectId(Uuid::now_v7()))
}

/// The plan uses this index, scans no table and sorts nothing.
fn assert_uses(plan: &[String], index: &str) {
    assert!(plan.iter().any(|line| line.contains(index)), "{index}: {plan:#?}");
    assert!(!plan.iter().any(|line| line.starts_with("SCAN")), "{plan:#?}");
    assert!(!plan.iter().any(|line| line.contains("TEMP B-TREE FOR ORDER")), "{plan:#?}");
}

#[test]
fn a_whole_list_is_read_from_its_index_alone() {
    assert_uses(&plan(selection(), None), "COVERING INDEX entities_by_project");
    assert_uses(
        &plan(selection(), Some(EntityId(Uuid::now_v7()))),
        "COVERING INDEX entities_by_project (project_id=? AND id>?)",
    );
    let links = Selection { class: EntityClass::Links, ..selection() };
    assert_uses(&plan(links, None), "COVERING INDEX entities_by_project");
}

#[test]
fn a_kind_is_one_range() {
    let categories = vec![AnyCategory { kinds: vec![COMPUTE.clone()], mixins: vec![] }];
    let plan = plan(Selection { categories, ..selection() }, Some(EntityId(Uuid::now_v7())));
    assert_uses(&plan, "COVERING INDEX entities_by_kind (project_id=? AND kind=? AND id>?)");
}

#[test]
fn carriers_of_a_mixin_are_found_by_it() {
    let categories = vec![AnyCategory { kinds: vec![], mixins: vec!["http://a#b".parse().unwrap()] }];
    let plan = plan(Selection { categories, ..selection() }, Some(EntityId(Uuid::now_v7())));
    assert_uses(&plan, "entity_mixins_by_mixin (mixin=? AND entity_id>?)");
    assert_uses(&plan, "entities_by_project (project_id=? AND id=?)");
}

#[test]
fn values_of_an_attribute_are_found_by_them() {
    let attributes = vec![(AttributeName::new("occi.compute.cores").unwrap(), Value::Integer(2))];
    let plan = plan(Selection { attributes, ..selection() }, Some(EntityId(Uuid::now_v7())));
    assert_uses(&plan, "entity_attributes_by_value (name=? AND value=? AND entity_id>?)");
    assert_uses(&plan, "entities_by_project (project_id=? AND id=?)");
}

#[test]
fn links_are_found_by_their_ends() {
    for (name, index) in [("occi.core.source", "entities_by_source"), ("occi.core.target", "entities_by_target")] {
        let attributes = vec![(AttributeName::new(name).unwrap(), Value::from(format!("/x/{}", Uuid::now_v7())))];
        let plan = plan(Selection { attributes, ..selection() }, Some(EntityId(Uuid::now_v7())));
        assert_uses(&plan, index);
        assert_uses(&plan, "entities_by_project (project_id=? AND id=?)");
    }
}
