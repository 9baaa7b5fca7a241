//! Whether the site is as the broker needs it. Everything is looked at and nothing changed.

use std::time::{SystemTime, UNIX_EPOCH};

use backend::{BackendError, Finding, Verdict};
use backend_http::Mode;

use crate::{
    NewNetworks,
    clock::seconds_of,
    document::{DatastoreDocument, NetworkDocument},
    names::Id,
    rpc::{Call, Refusal},
    site::Site,
};

/// Seconds between the clocks that nobody minds.
const CLOCKS_AGREE: i64 = 60;
/// Room in a datastore, in MiB, below which it will soon be missed.
const LITTLE_ROOM: u64 = 10 << 10;

impl Site {
    pub(crate) async fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        match self.version().await {
            Ok(version) => findings.push(Finding::new("version", Verdict::Good, format!("OpenNebula {version}"))),
            Err(error) => {
                let subject = if error.is_transient() { "credentials" } else { "version" };
                return vec![Finding::new(subject, Verdict::Bad, error.to_string())];
            }
        }
        match self.ourselves("one.user.info").await {
            Ok(user) => findings.push(Finding::new(
                "credentials",
                Verdict::Good,
                format!("user {} ({}), group {}", user.name, user.id, shown(user.group)),
            )),
            Err(error) => {
                findings.push(Finding::new("credentials", Verdict::Bad, error.to_string()));
                return findings;
            }
        }
        findings.push(self.check_clock().await);
        for (subject, method) in [
            ("permission to create machines", "one.vm.allocate"),
            ("permission to create security groups", "one.secgroup.allocate"),
        ] {
            findings.push(self.check_permission(subject, Call::new(method).with(NOTHING), method).await);
        }
        findings.push(self.check_datastores().await);
        findings.push(self.check_hosts().await);
        findings.extend(self.check_networks().await);
        findings.push(self.check_save());
        findings
    }

    async fn check_clock(&self) -> Finding {
        const SUBJECT: &str = "clock";
        let reply = match self.oned.call(&Call::new("one.system.version"), Mode::Look).await {
            Ok(reply) => reply,
            Err(error) => return Finding::new(SUBJECT, Verdict::Doubtful, error.to_string()),
        };
        let ours = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let theirs = reply.date.as_deref().and_then(seconds_of);
        let Some(skew) = theirs.and_then(|theirs| Some(theirs - i64::try_from(ours).ok()?)) else {
            return Finding::new(SUBJECT, Verdict::Doubtful, "the service does not tell its time");
        };
        if skew.abs() <= CLOCKS_AGREE {
            return Finding::new(SUBJECT, Verdict::Good, format!("the service's clock differs by {skew} s"));
        }
        let what = format!("the service's clock differs by {skew} s; let both hosts set theirs by NTP");
        Finding::new(SUBJECT, Verdict::Bad, what)
    }

    /// Whoever may not create is told so before the template is looked at; whoever may is told that it is none. Neither
    /// makes anything.
    async fn check_permission(&self, subject: &str, call: Call, method: &str) -> Finding {
        match self.oned.look(&call).await {
            Ok(Err(Refusal::Error { code: 512, message })) => Finding::new(
                subject,
                Verdict::Bad,
                format!("{message}; give the group a rule to CREATE (`onegroup create` and `oneacl create` do)"),
            ),
            Ok(Err(Refusal::Error { .. })) => Finding::new(subject, Verdict::Good, format!("{method} is open to us")),
            Ok(other) => Finding::new(subject, Verdict::Doubtful, format!("{method} answers {other:?}")),
            Err(error) => Finding::new(subject, Verdict::Bad, error.to_string()),
        }
    }

    async fn check_datastores(&self) -> Finding {
        const SUBJECT: &str = "room for images";
        let stores: Vec<DatastoreDocument> = match self.oned.whole("one.datastorepool.info").await {
            Ok(stores) => stores,
            Err(error) => return Finding::new(SUBJECT, Verdict::Bad, error.to_string()),
        };
        let wanted = self.options.image_datastore.map(|id| id.to_string());
        let usable: Vec<_> = stores
            .iter()
            .filter(|store| store.holds_images && store.is_enabled)
            .filter(|store| wanted.as_ref().is_none_or(|wanted| store.id.to_string() == *wanted))
            .collect();
        let names: Vec<String> = usable
            .iter()
            .map(|store| format!("{} ({}, {} MiB free)", store.name, store.transfer, store.free_mib))
            .collect();
        let seen = names.join(", ");
        if usable.is_empty() {
            let what = "our user sees no datastore for images that is enabled; give it the right to use one";
            return Finding::new(SUBJECT, Verdict::Bad, what);
        }
        if usable.iter().any(|store| store.has_room(LITTLE_ROOM)) {
            return Finding::new(SUBJECT, Verdict::Good, seen);
        }
        Finding::new(SUBJECT, Verdict::Doubtful, format!("{seen}: hardly any room is left; enlarge a datastore"))
    }

    async fn check_hosts(&self) -> Finding {
        const SUBJECT: &str = "hosts";
        match self.hosts().await {
            Ok(hosts) if hosts.is_empty() => {
                let what = "our user sees none, as most users; set limits, since they cannot be found out";
                let verdict = if self.options.limits.is_some() { Verdict::Good } else { Verdict::Doubtful };
                Finding::new(SUBJECT, verdict, what)
            }
            Ok(hosts) if hosts.iter().any(|host| host.is_up) => {
                let up = hosts.iter().filter(|host| host.is_up).count();
                Finding::new(SUBJECT, Verdict::Good, format!("{up} of {} take machines", hosts.len()))
            }
            Ok(_) => Finding::new(SUBJECT, Verdict::Bad, "none takes machines; enable one"),
            Err(error) => Finding::new(SUBJECT, Verdict::Bad, error.to_string()),
        }
    }

    async fn check_networks(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        match &self.options.networks {
            None => {
                let what = "the options do not say how networks are made, so there are none";
                findings.push(Finding::new("permission to create networks", Verdict::Doubtful, what));
            }
            Some(NewNetworks::Reserved { parent, .. }) => {
                findings.push(self.check_network("network to reserve from", *parent).await);
            }
            Some(NewNetworks::Created { .. }) => {
                const METHOD: &str = "one.vn.allocate";
                let call = Call::new(METHOD).with(NOTHING).with(-1);
                findings.push(self.check_permission("permission to create networks", call, METHOD).await);
            }
        }
        for (subject, network) in
            [("default network", self.options.default_network), ("public network", self.options.public_network)]
        {
            if let Some(network) = network {
                findings.push(self.check_network(subject, network).await);
            }
        }
        findings
    }

    async fn check_network(&self, subject: &str, id: u32) -> Finding {
        let looked = async {
            let id = Id::of("network", &id.to_string())?;
            self.oned.object::<NetworkDocument>("one.vn.info", id).await
        };
        match looked.await {
            Ok(network) => Finding::new(subject, Verdict::Good, format!("{} ({id})", network.name)),
            Err(BackendError::NotFound(_)) => {
                Finding::new(subject, Verdict::Bad, format!("there is no network {id}; correct the options"))
            }
            Err(error) => Finding::new(subject, Verdict::Bad, error.to_string()),
        }
    }

    fn check_save(&self) -> Finding {
        const SUBJECT: &str = "saving of disks";
        match &self.options.datastores {
            None => Finding::new(SUBJECT, Verdict::Doubtful, "not possible: set `datastores` to where they are seen"),
            Some(path) if path.is_dir() => Finding::new(SUBJECT, Verdict::Good, "the datastores' directory is seen"),
            Some(path) => {
                let what = format!("{} is no directory; mount oned's datastores there", path.display());
                Finding::new(SUBJECT, Verdict::Bad, what)
            }
        }
    }
}

/// A template of which nothing can be made.
const NOTHING: &str = "<TEMPLATE></TEMPLATE>";

fn shown(id: Option<Id>) -> String {
    id.map_or_else(|| "unknown".to_owned(), |id| id.to_string())
}
