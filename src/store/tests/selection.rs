//! Lists by category, attribute and class, links, and what keeps the index equal to the rows.

use std::collections::{BTreeMap, BTreeSet};

use occi_schema::{AttributeName, CategoryId, Mixin, Value, well_known};
use uuid::Uuid;

use super::{entity as compute, project};
use crate::store::{
    Db, StoreError,
    entity::{
        self, AnyCategory, Entity, EntityClass, EntityId, EntityState, LinkTarget, Selection, find_for_dispatch,
        index_entry,
    },
    member::ProjectId,
    user_mixin,
};

const NETWORK: &str = "http://schemas.ogf.org/occi/infrastructure#network";
const INTERFACE: &str = "http://schemas.ogf.org/occi/infrastructure#networkinterface";
const TAG: &str = "http://example.org/tags#red";

fn category(text: &str) -> CategoryId {
    text.parse().unwrap()
}

fn name(text: &str) -> AttributeName {
    AttributeName::new(text).unwrap()
}

fn any(kinds: &[&str], mixins: &[&str]) -> AnyCategory {
    let parsed = |texts: &[&str]| texts.iter().map(|text| category(text)).collect();
    AnyCategory { kinds: parsed(kinds), mixins: parsed(mixins) }
}

/// A compute, a tagged compute, a network, and a link between the last two and to somewhere else.
struct Yard {
    project: ProjectId,
    plain: Entity,
    tagged: Entity,
    network: Entity,
    inner: Entity,
    outer: Entity,
}

async fn yard(db: &Db) -> Yard {
    let project = project(db, "selections").await;
    let plain = compute(project);
    let mut tagged = compute(project);
    tagged.mixins.push(category(TAG));
    tagged.attributes.insert(well_known::attribute::CORES.clone(), Value::Integer(4));
    tagged.attributes.insert(name("org.example.key"), Value::from("k".repeat(1000)));
    tagged.state = EntityState::Active;
    let mut network = compute(project);
    (network.kind, network.mixins) = (category(NETWORK), Vec::new());
    network.state = EntityState::Active;
    let link = |target| {
        let mut link = compute(project);
        (link.kind, link.mixins) = (category(INTERFACE), Vec::new());
        link.attributes = BTreeMap::from([(name("occi.networkinterface.interface"), Value::from("eth0"))]);
        (link.source, link.target) = (Some(tagged.id), Some(target));
        link
    };
    let inner = link(LinkTarget::Entity(network.id));
    let outer = link(LinkTarget::Elsewhere("https://other.example.org/network/1".into()));
    let all = [&plain, &tagged, &network, &inner, &outer].map(Clone::clone);
    db.write(move |connection| all.iter().try_for_each(|entity| entity::insert(connection, entity))).await.unwrap();
    Yard { project, plain, tagged, network, inner, outer }
}

async fn selected(db: &Db, selection: &Selection) -> Vec<EntityId> {
    let selection = selection.clone();
    db.read(move |connection| {
        let found = entity::select(connection, &selection, None, 100)?;
        let places = entity::select_places(connection, &selection, None, 100)?;
        let expected: Vec<_> = found.iter().map(|entity| (entity.id, entity.kind.clone())).collect();
        assert_eq!(places, expected);
        assert_eq!(entity::count(connection, &selection)?, i64::try_from(found.len()).unwrap());
        // In pages of one, both ways.
        let (mut after, mut offset) = (None, 0);
        for (id, _) in &expected {
            let next = entity::select(connection, &selection, after, 1)?;
            assert_eq!(next.iter().map(|entity| entity.id).collect::<Vec<_>>(), [*id]);
            let page = entity::select_page(connection, &selection, offset, 1)?;
            assert_eq!(page[0].id, *id);
            (after, offset) = (Some(*id), offset + 1);
        }
        assert!(entity::select(connection, &selection, after, 1)?.is_empty());
        Ok(expected.into_iter().map(|(id, _)| id).collect())
    })
    .await
    .unwrap()
}

pub async fn selections(db: &Db) {
    let yard = yard(db).await;
    let ids = |entities: &[&Entity]| entities.iter().map(|entity| entity.id).collect::<Vec<_>>();
    let everything = Selection::of(yard.project);
    assert_eq!(
        selected(db, &everything).await,
        ids(&[&yard.plain, &yard.tagged, &yard.network, &yard.inner, &yard.outer])
    );
    for (class, expected) in [
        (EntityClass::Resources, ids(&[&yard.plain, &yard.tagged, &yard.network])),
        (EntityClass::Links, ids(&[&yard.inner, &yard.outer])),
    ] {
        assert_eq!(selected(db, &Selection { class, ..everything.clone() }).await, expected);
    }

    let compute = well_known::COMPUTE.to_string();
    let small = well_known::SMALL.to_string();
    for (categories, expected) in [
        (vec![any(&[&compute], &[])], ids(&[&yard.plain, &yard.tagged])),
        (vec![any(&[&compute, NETWORK], &[])], ids(&[&yard.plain, &yard.tagged, &yard.network])),
        (vec![any(&[], &[TAG])], ids(&[&yard.tagged])),
        (vec![any(&[NETWORK], &[TAG])], ids(&[&yard.tagged, &yard.network])),
        (vec![any(&[], &[TAG, &small])], ids(&[&yard.plain, &yard.tagged])),
        (vec![any(&[], &[&small]), any(&[&compute], &[]), any(&[], &[TAG])], ids(&[&yard.tagged])),
        (vec![any(&[NETWORK], &[]), any(&[], &[TAG])], vec![]),
        (vec![any(&[], &[])], vec![]),
    ] {
        let selection = Selection { categories, ..everything.clone() };
        assert_eq!(selected(db, &selection).await, expected, "{:?}", selection.categories);
    }

    let urn = format!("urn:uuid:{}", yard.tagged.id);
    let path = format!("/network/{}", yard.network.id);
    let source = format!("https://h.example.org/compute/{}", yard.tagged.id);
    for (attribute, value, expected) in [
        ("occi.compute.cores", Value::Integer(4), ids(&[&yard.tagged])),
        ("occi.compute.cores", Value::Float(4.0), ids(&[&yard.tagged])),
        ("occi.compute.cores", Value::from("4"), vec![]),
        ("occi.core.title", Value::from("教室 \"1\"\n"), ids(&[&yard.plain, &yard.tagged, &yard.network])),
        ("occi.core.title", Value::from("' OR 1=1 --"), vec![]),
        ("org.example.key", Value::from("k".repeat(1000)), ids(&[&yard.tagged])),
        ("org.example.key", Value::from("k".repeat(999)), vec![]),
        ("occi.compute.state", Value::from("active"), ids(&[&yard.tagged])),
        ("occi.network.state", Value::from("active"), ids(&[&yard.network])),
        ("occi.compute.state", Value::Integer(1), vec![]),
        ("occi.compute.state.message", Value::from("accepted"), ids(&[&yard.plain, &yard.tagged])),
        ("occi.core.id", Value::from(urn.as_str()), ids(&[&yard.tagged])),
        ("occi.core.id", Value::from("none"), vec![]),
        ("occi.core.source", Value::from(source.as_str()), ids(&[&yard.inner, &yard.outer])),
        ("occi.core.source", Value::from(""), vec![]),
        ("occi.core.target", Value::from(path.as_str()), ids(&[&yard.inner])),
        ("occi.core.target", Value::from("https://other.example.org/network/1"), ids(&[&yard.outer])),
        ("occi.core.target", Value::from("https://other.example.org/network/2"), vec![]),
    ] {
        let selection = Selection { attributes: vec![(name(attribute), value)], ..everything.clone() };
        assert_eq!(selected(db, &selection).await, expected, "{:?}", selection.attributes);
    }
    for (site, expected) in [("lab", 5), ("elsewhere", 0)] {
        let selection = Selection { site: Some(site.into()), ..everything.clone() };
        assert_eq!(selected(db, &selection).await.len(), expected);
    }
    let both = Selection {
        categories: vec![any(&[&compute], &[])],
        attributes: vec![(name("occi.compute.cores"), Value::Integer(2)), (name("occi.core.title"), "x".into())],
        ..everything.clone()
    };
    assert!(selected(db, &both).await.is_empty());
    let stranger = Selection { project: project(db, "stranger").await, ..both };
    assert!(selected(db, &Selection { categories: vec![], attributes: vec![], ..stranger }).await.is_empty());

    links(db, &yard).await;
    changes(db, &yard).await;
    undefined_mixins(db, &yard).await;
    removals(db, &yard).await;
}

async fn links(db: &Db, yard: &Yard) {
    let (project, tagged, network, plain) = (yard.project, yard.tagged.id, yard.network.id, yard.plain.id);
    let inner = yard.inner.clone();
    let outer = yard.outer.clone();
    db.read(move |connection| {
        let found = entity::links_from(connection, &[plain, tagged, network])?;
        assert_eq!(format!("{found:?}"), format!("{:?}", [&inner, &outer]));
        let to = entity::links_to(connection, network)?;
        assert_eq!(to.iter().map(|link| link.id).collect::<Vec<_>>(), [inner.id]);
        assert!(entity::links_to(connection, tagged)?.is_empty());
        assert!(entity::has_links(connection, tagged)? && !entity::has_links(connection, network)?);
        // More than one query's worth, unknown ones among them.
        let mut ids: Vec<EntityId> = (0..1200).map(|_| EntityId(Uuid::now_v7())).collect();
        ids.extend([network, plain, network]);
        let found = entity::find_many(connection, project, &ids)?;
        assert_eq!(found.iter().map(|entity| entity.id).collect::<Vec<_>>(), [plain, network]);
        assert!(entity::links_from(connection, &ids)?.is_empty());
        Ok(())
    })
    .await
    .unwrap();
}

/// The index says what the row says.
async fn assert_indexed(db: &Db, id: EntityId) {
    let (entity, (mixins, attributes)) = db
        .read(move |connection| Ok((find_for_dispatch(connection, id)?.unwrap(), index_entry(connection, id)?)))
        .await
        .unwrap();
    assert_eq!(mixins, entity.mixins.iter().map(ToString::to_string).collect::<Vec<_>>());
    let names: BTreeSet<_> = entity.attributes.keys().map(ToString::to_string).collect();
    assert_eq!(attributes.into_keys().collect::<BTreeSet<_>>(), names);
}

async fn changes(db: &Db, yard: &Yard) {
    let (id, network) = (yard.tagged.id, yard.network.id);
    assert_indexed(db, id).await;
    let mixins = vec![category("http://example.org/tags#b"), category("http://example.org/tags#a"), category(TAG)];
    let attributes = BTreeMap::from([(name("occi.compute.cores"), Value::Integer(8))]);
    db.write(move |connection| {
        entity::set_description(connection, id, &mixins, &attributes)?;
        entity::set_description(connection, network, &mixins, &attributes)
    })
    .await
    .unwrap();
    assert_indexed(db, id).await;
    assert_indexed(db, network).await;
    let cores = |cores| Selection {
        attributes: vec![(name("occi.compute.cores"), Value::Integer(cores))],
        ..Selection::of(yard.project)
    };
    assert_eq!(selected(db, &cores(8)).await, [id, network]);
    assert!(selected(db, &cores(4)).await.is_empty());
    let inner = yard.inner.clone();
    db.write(move |connection| {
        entity::set_description(connection, inner.id, &[], &BTreeMap::new())?;
        let now = find_for_dispatch(connection, inner.id)?.unwrap();
        assert_eq!((now.source, now.target), (inner.source, inner.target.clone()));
        Ok(())
    })
    .await
    .unwrap();
}

async fn undefined_mixins(db: &Db, yard: &Yard) {
    let (project, id, network) = (yard.project, yard.tagged.id, yard.network.id);
    let foreign = {
        let mut foreign = compute(self::project(db, "stranger").await);
        foreign.mixins.push(category(TAG));
        foreign
    };
    let foreign_id = foreign.id;
    let (carried, again) = db
        .write(move |connection| {
            entity::insert(connection, &foreign)?;
            user_mixin::insert(connection, project, &Mixin::tag(category(TAG), "/red/"))?;
            user_mixin::remove(connection, project, &category(TAG))?;
            let carried = entity::take_mixin_off(connection, project, &category(TAG))?;
            Ok((carried, entity::take_mixin_off(connection, project, &category(TAG))?))
        })
        .await
        .unwrap();
    assert_eq!((carried, again), (2, 0));
    for id in [id, network, foreign_id] {
        assert_indexed(db, id).await;
    }
    let (left, theirs) = db
        .read(move |c| Ok((find_for_dispatch(c, id)?.unwrap(), find_for_dispatch(c, foreign_id)?.unwrap())))
        .await
        .unwrap();
    assert_eq!(left.mixins, [category("http://example.org/tags#b"), category("http://example.org/tags#a")]);
    assert!(theirs.mixins.contains(&category(TAG)));
}

async fn removals(db: &Db, yard: &Yard) {
    let (source, links) = (yard.tagged.id, [yard.inner.id, yard.outer.id]);
    let refused = db.write(move |connection| entity::remove(connection, source)).await;
    assert!(matches!(refused, Err(StoreError::Statement(_))), "its links would begin nowhere: {refused:?}");
    db.write(move |connection| {
        links.iter().try_for_each(|link| entity::request_removal(connection, *link))?;
        assert!(entity::links_from(connection, &[source])?.is_empty());
        assert_eq!(entity::links_for_dispatch(connection, source)?.len(), 2);
        assert!(entity::has_links(connection, source)?);
        links.iter().try_for_each(|link| entity::remove(connection, *link))?;
        entity::remove(connection, source)
    })
    .await
    .unwrap();
    let (mixins, attributes) = db.read(move |connection| index_entry(connection, source)).await.unwrap();
    assert!(mixins.is_empty() && attributes.is_empty());
}
