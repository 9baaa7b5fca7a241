//! What is looked at when a site is checked. Nothing is made.

use backend::{BackendError, Finding, Verdict};
use backend_http::{Method, quoted};
use jiff::{Timestamp, fmt::rfc2822};
use occi_schema::{
    CategoryId,
    well_known::{
        COMPUTE, IP_RESERVATION, NETWORK, NETWORK_INTERFACE, RESTART, SECURITY_GROUP, START, STOP, STORAGE,
        STORAGE_LINK, SUSPEND,
    },
};

use crate::{connection::Asked, peer::Peer, server::Server, sizes};

/// Clocks may differ by so much, in seconds.
const SKEW: i64 = 30;
const KINDS: [&CategoryId; 6] =
    [&STORAGE, &STORAGE_LINK, &NETWORK, &NETWORK_INTERFACE, &IP_RESERVATION, &SECURITY_GROUP];
const ACTIONS: [&CategoryId; 4] = [&START, &STOP, &RESTART, &SUSPEND];

impl Server {
    pub(crate) async fn findings(&self) -> Vec<Finding> {
        let peer = match self.learn().await {
            Ok(peer) => peer,
            Err(error) => {
                let subject = if matches!(error, BackendError::Unauthorized(_)) { "credentials" } else { "reachable" };
                return vec![Finding::new(subject, Verdict::Bad, error.to_string())];
            }
        };
        let (dialect, media, count) = (peer.dialect.name, peer.media.content_type(), peer.categories.len());
        let detail = format!("{}, spoken to as {dialect:?} in {media}, {count} categories", peer.software);
        let mut findings = vec![Finding::new("reachable", Verdict::Good, detail)];
        findings.push(self.credentials(&peer).await);
        if let Some(obstacle) = self.obstacle(&peer) {
            findings.push(Finding::new("machines", Verdict::Bad, obstacle));
        }
        findings.push(categories(&peer));
        findings.push(of_all("kinds", &KINDS, |kind| peer.categories.location(kind).is_some()));
        findings.push(of_all("actions of machines", &ACTIONS, |action| peer.categories.offers(&COMPUTE, action)));
        findings.push(self.images(&peer));
        findings.push(templates(&peer));
        findings.push(links(&peer));
        findings.extend(self.zone(&peer));
        findings.push(clock(peer.date.as_deref()));
        findings
    }

    /// The query interface is for everybody; machines are not.
    async fn credentials(&self, peer: &Peer) -> Finding {
        const SUBJECT: &str = "credentials";
        let path = match peer.collection(&self.connection, &COMPUTE) {
            Ok(path) => path,
            Err(error) => return Finding::new(SUBJECT, Verdict::Doubtful, format!("not tried: {error}")),
        };
        match self.connection.must(&Asked::new(Method::GET, &path, peer.media)).await {
            Ok(_) => Finding::new(SUBJECT, Verdict::Good, "machines are listed to us"),
            Err(error) => Finding::new(SUBJECT, Verdict::Bad, error.to_string()),
        }
    }

    fn images(&self, peer: &Peer) -> Finding {
        const SUBJECT: &str = "images";
        let systems: Vec<_> = peer.categories.systems().collect();
        let told = systems.iter().filter(|system| system.digest.is_some()).count();
        let is_there = |named: &String| systems.iter().any(|s| s.id.term() == named || s.id.as_str() == named);
        let missing = self.options.images.values().find(|named| !is_there(named));
        if let Some(named) = missing {
            let detail = format!("the site's images name {}, which the server does not offer", quoted(named));
            return Finding::new(SUBJECT, Verdict::Bad, detail);
        }
        let (all, named) = (systems.len(), self.options.images.len());
        let detail = format!("{all} templates, of which {told} tell their content and {named} are configured");
        let verdict = if told + named > 0 { Verdict::Good } else { Verdict::Bad };
        let remedy = if told + named > 0 { "" } else { "; name our images' os_tpl in the site's images" };
        Finding::new(SUBJECT, verdict, format!("{detail}{remedy}"))
    }

    fn zone(&self, peer: &Peer) -> Option<Finding> {
        let term = self.options.zone.as_deref()?;
        Some(match peer.categories.zone(term) {
            Some(zone) => Finding::new("zone", Verdict::Good, zone.to_string()),
            None => Finding::new("zone", Verdict::Bad, format!("the server has no availability zone {}", quoted(term))),
        })
    }
}

fn categories(peer: &Peer) -> Finding {
    match peer.unreadable {
        0 => Finding::new("query interface", Verdict::Good, "all of it can be read"),
        some => {
            Finding::new("query interface", Verdict::Doubtful, format!("{some} categories cannot be read and are left"))
        }
    }
}

fn of_all(subject: &str, wanted: &[&CategoryId], is_there: impl Fn(&CategoryId) -> bool) -> Finding {
    let missing: Vec<&str> = wanted.iter().filter(|id| !is_there(id)).map(|id| id.term()).collect();
    if missing.is_empty() {
        Finding::new(subject, Verdict::Good, "all that we use")
    } else {
        Finding::new(subject, Verdict::Doubtful, format!("the server has no {}", missing.join(", ")))
    }
}

fn templates(peer: &Peer) -> Finding {
    const SUBJECT: &str = "sizes";
    match (peer.dialect.sizes_of_choice, sizes::offers(peer).len()) {
        (true, _) => Finding::new(SUBJECT, Verdict::Good, "any, by attributes"),
        (false, 0) => Finding::new(
            SUBJECT,
            Verdict::Doubtful,
            "the server takes only templates and does not tell how large they are; it will choose",
        ),
        (false, some) => Finding::new(SUBJECT, Verdict::Good, format!("{some} templates")),
    }
}

fn links(peer: &Peer) -> Finding {
    const SUBJECT: &str = "links";
    if peer.dialect.keeps_link_titles {
        Finding::new(SUBJECT, Verdict::Good, "they keep their titles, by which ours are found again")
    } else {
        let detail = "such a server does not keep their titles: no volumes, networks and addresses, since nobody could \
                      tell our links from others'";
        Finding::new(SUBJECT, Verdict::Doubtful, detail)
    }
}

fn clock(date: Option<&str>) -> Finding {
    const SUBJECT: &str = "clock";
    let Some(there) = date.and_then(|date| rfc2822::parse(date).ok()) else {
        return Finding::new(SUBJECT, Verdict::Doubtful, "the server does not tell the time");
    };
    let skew = there.timestamp().as_second() - Timestamp::now().as_second();
    match skew.abs() {
        0..=SKEW => Finding::new(SUBJECT, Verdict::Good, format!("differs by {} s", skew.abs())),
        _ => {
            let way = if skew > 0 { "ahead" } else { "behind" };
            let detail = format!("the server's is {} s {way} of ours; set both by NTP", skew.abs());
            Finding::new(SUBJECT, Verdict::Doubtful, detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_differs_is_told() {
        let now = Timestamp::now();
        let verdict = |seconds: i64| {
            let there = now + jiff::SignedDuration::from_secs(seconds);
            clock(Some(&there.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())).verdict
        };
        assert_eq!((verdict(0), verdict(-5)), (Verdict::Good, Verdict::Good));
        assert_eq!((verdict(300), verdict(-300)), (Verdict::Doubtful, Verdict::Doubtful));
        assert_eq!(clock(Some("soon")).verdict, Verdict::Doubtful);
    }
}
