//! What carries a tag of ours and belongs to nobody.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::json;

use super::{
    inventory::{Inventory, Listed},
    owned::listed_kind,
};
use crate::{
    dispatch::ledger,
    measured,
    store::{
        Db, StoreError, Timestamp,
        orphan::{self, Found, TagOwner},
    },
};

/// In how many rounds in a row something is a stranger until it is noted: what was just removed may still be listed.
const CONFIRMATIONS: u32 = 2;
/// For how long an orphan may be missing from the site's lists until it is taken off ours.
const MISSED: Duration = Duration::from_secs(60);

/// Who has been seen without an owner.
#[derive(Default)]
pub struct Strangers(BTreeMap<(&'static str, String), u32>);

impl Strangers {
    /// Notes whoever belongs to nobody.
    pub async fn look(
        &mut self,
        db: &Db,
        site: &str,
        inventory: &Inventory,
        owned: &BTreeSet<(&'static str, String)>,
    ) -> Result<(), StoreError> {
        // Nearly everything is somebody's, and needs no question.
        let mut listed = inventory.everything();
        listed.retain(|one| !owned.contains(&(one.kind, one.backend_id.clone())));
        let tags: Vec<_> = listed.iter().map(|one| one.tag.0).collect();
        let (name, ids) = (site.to_owned(), listed.iter().map(|one| one.backend_id.clone()).collect::<Vec<_>>());
        let (owners, owned) = db
            .read(move |connection| Ok((orphan::owners(connection, &tags)?, orphan::owned(connection, &name, &ids)?)))
            .await?;
        let mut strangers = BTreeMap::new();
        let mut found = Vec::new();
        for one in listed {
            // What was adopted may carry another's tag.
            let theirs =
                owned.iter().any(|(kind, id)| listed_kind(kind.term()) == Some(one.kind) && *id == one.backend_id);
            if theirs {
                continue;
            }
            let Some(reason) = reason(&one, owners.get(&one.tag.0)) else { continue };
            let key = (one.kind, one.backend_id.clone());
            let times = self.0.get(&key).copied().unwrap_or(0).saturating_add(1);
            strangers.insert(key, times);
            if times >= CONFIRMATIONS {
                let Listed { kind, backend_id, tag, facts } = one;
                found.push(Found { site: site.to_owned(), kind, backend_id, tag: tag.0, reason, facts });
            }
        }
        self.0 = strangers;
        let count = note(db, site, found).await?;
        metrics::gauge!(measured::ORPHANS, "site" => site.to_owned()).set(count);
        Ok(())
    }
}

/// Why nobody owns it; nothing if somebody does, or it is just being made or removed.
fn reason(listed: &Listed, owner: Option<&TagOwner>) -> Option<String> {
    match owner {
        None => Some("nobody here asked for it, or what asked for it is forgotten".into()),
        Some(owner) if owner.is_busy => None,
        Some(TagOwner { backend_id: Some(id), .. }) if *id == listed.backend_id => None,
        Some(TagOwner { backend_id: Some(id), entity, .. }) => {
            Some(format!("entity {entity} has {id}; this is another one for the same request"))
        }
        Some(TagOwner { backend_id: None, entity, .. }) => {
            Some(format!("entity {entity} was given up, and this appeared afterwards"))
        }
    }
}

/// Writes down who was found and who is gone; answers how many there are now. Nothing is written where nothing is new.
async fn note(db: &Db, site: &str, found: Vec<Found>) -> Result<u32, StoreError> {
    let site = site.to_owned();
    let known = db.read(|connection| orphan::all(connection, i64::MAX)).await?;
    let known: Vec<_> = known.into_iter().filter(|orphan| orphan.site == site).collect();
    let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
    if found.is_empty() && known.is_empty() {
        return Ok(0);
    }
    db.write(move |connection| {
        for one in &found {
            if orphan::note(connection, one)? {
                let Found { site, kind, backend_id, tag, reason, .. } = one;
                tracing::warn!(site, kind, backend_id, %tag, reason, "an orphan was found: `tombolo orphans` lists it");
                let body =
                    json!({ "site": site, "kind": kind, "backend_id": backend_id, "tag": tag, "reason": reason });
                ledger::about_site(connection, "orphan.found", body)?;
            }
        }
        let seen: BTreeSet<_> = found.iter().map(|one| (one.kind.to_owned(), one.backend_id.clone())).collect();
        for gone in orphan::forget_missed(connection, &site, &seen, Timestamp::now().minus(MISSED))? {
            let body = json!({ "site": site, "kind": gone.kind, "backend_id": gone.backend_id, "tag": gone.tag });
            ledger::about_site(connection, "orphan.gone", body)?;
        }
        Ok(())
    })
    .await?;
    Ok(count)
}
