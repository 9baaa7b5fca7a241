//! Whether the site is as the broker needs it.

use std::sync::Arc;

use backend::{BackendError, Finding, QuotaEntry, Verdict};
use serde_json::Value;

use crate::{Credentials, glance, keystone::Token, service::Service, site::Site};

/// Beyond this many seconds signatures and expiries go wrong.
const SKEW: i64 = 60;

impl Site {
    pub(crate) async fn check(&self) -> Vec<Finding> {
        let token = match self.cloud.session.token().await {
            Ok(token) => token,
            Err(error) => return vec![Finding::new("credentials", Verdict::Bad, error.to_string())],
        };
        let mut findings = vec![self.credentials(&token), roles(&token), clock(&token), self.region(&token)];
        for service in Service::ALL {
            findings.push(self.service(service, &token).await);
        }
        findings.push(self.formats().await);
        findings.push(self.imports().await);
        findings.push(self.flavors().await);
        findings.push(found(
            "usual network",
            self.usual_network().await.map(|network| match network {
                Some(id) => (Verdict::Good, format!("machines join network {id}")),
                None => (Verdict::Doubtful, "there is none: machines that ask for no network get none".to_owned()),
            }),
        ));
        findings.push(found(
            "external network",
            self.external_network().await.map(|id| (Verdict::Good, format!("reserved addresses live on network {id}"))),
        ));
        findings.push(self.room().await);
        findings
    }

    fn credentials(&self, token: &Token) -> Finding {
        let kind = match self.cloud.options.auth {
            Credentials::Password { .. } => "a password",
            Credentials::ApplicationCredential { .. } => "an application credential",
            Credentials::OidcAccessToken { .. } => "an OpenID access token",
        };
        let project = &token.project;
        if matches!(self.cloud.options.auth, Credentials::OidcAccessToken { .. }) {
            let detail = format!(
                "accepted for project {project}, by {kind}, which is not renewed here: when it ends, the site stops; an \
                 application credential lasts"
            );
            return Finding::new("credentials", Verdict::Doubtful, detail);
        }
        Finding::new("credentials", Verdict::Good, format!("accepted for project {project}, by {kind}"))
    }

    fn region(&self, token: &Token) -> Finding {
        let regions = token.catalogue.regions();
        let all = regions.join(", ");
        match &self.cloud.options.region {
            Some(region) if regions.contains(region) => Finding::new("region", Verdict::Good, region),
            Some(region) => {
                let detail = format!("the catalogue knows no region {region}; its regions are {all}");
                Finding::new("region", Verdict::Bad, detail)
            }
            None if regions.len() > 1 => {
                let detail = format!("there are several ({all}), and none is chosen; name one as the site's `region`");
                Finding::new("region", Verdict::Doubtful, detail)
            }
            None => Finding::new("region", Verdict::Good, all),
        }
    }

    async fn service(&self, service: Service, token: &Arc<Token>) -> Finding {
        let needed = matches!(service, Service::Compute | Service::Image | Service::Network);
        let bad = if needed { Verdict::Bad } else { Verdict::Doubtful };
        let endpoint = match self.cloud.endpoint(service, token) {
            Ok(endpoint) => endpoint,
            Err(error) => return Finding::new(service.to_string(), bad, error.to_string()),
        };
        let seen = match service.wanted() {
            Some(_) => match self.cloud.offered(service, token).await {
                Ok((lowest, highest)) => self.cloud.version(service, token).await.map(|version| {
                    let spoken = version.map_or_else(String::new, |version| version.to_string());
                    format!("it offers versions {lowest} to {highest}, {spoken} is spoken")
                }),
                Err(error) => Err(error),
            },
            None => {
                let path = if service == Service::Image { "images" } else { "networks" };
                let look = self.cloud.get(service, &[path], service.to_string()).query("limit", "1");
                look.send().await.map(|_| "it answers".to_owned())
            }
        };
        match seen {
            Ok(detail) => Finding::new(service.to_string(), Verdict::Good, format!("{endpoint}: {detail}")),
            Err(error) => Finding::new(service.to_string(), bad, format!("{endpoint}: {error}")),
        }
    }

    /// Glance tells in its schema which formats it takes.
    async fn formats(&self) -> Finding {
        let schema = self.cloud.get(Service::Image, &["schemas", "image"], "schema of Glance").json::<Value>().await;
        let outcome = schema.map(|schema| {
            let taken = glance::formats(&schema);
            let wanted = &self.cloud.options.image_formats;
            let names = |formats: &[disk_image::ImageFormat]| {
                formats.iter().map(|format| format.name()).collect::<Vec<_>>().join(", ")
            };
            let missing: Vec<_> = wanted.iter().copied().filter(|format| !taken.contains(format)).collect();
            let (all, missed) = (names(&taken), names(&missing));
            if missing.is_empty() {
                (Verdict::Good, format!("Glance takes {all}"))
            } else if missing.len() < wanted.len() {
                (Verdict::Doubtful, format!("Glance takes {all}, but not {missed}; take these off `image_formats`"))
            } else {
                (Verdict::Bad, format!("Glance takes {all}, and none of `image_formats` ({missed}); correct them"))
            }
        });
        found("image formats", outcome)
    }

    async fn imports(&self) -> Finding {
        let wanted = self.cloud.options.web_download;
        let outcome = self.import_methods().await.map(|methods| {
            let all = if methods.is_empty() { "none".to_owned() } else { methods.join(", ") };
            if wanted && !methods.contains(&"web-download".into()) {
                let detail = format!(
                    "Glance cannot fetch images by itself (its import methods: {all}); they are sent, which takes longer"
                );
                return (Verdict::Doubtful, detail);
            }
            (Verdict::Good, all)
        });
        found("import of images", outcome)
    }

    async fn flavors(&self) -> Finding {
        let outcome = self.sizes().await.map(|sizes| match (sizes.first(), sizes.last()) {
            (Some(least), Some(most)) => {
                (Verdict::Good, format!("{}, from {} to {}", sizes.len(), least.name, most.name))
            }
            _ => (
                Verdict::Bad,
                "there is none that our project may use and that has a disk of its own; have one made, or set \
                 `boot_from_volume`"
                    .to_owned(),
            ),
        });
        found("flavors", outcome)
    }

    /// What is nearly used up.
    async fn room(&self) -> Finding {
        let outcome = self.quota().await.map(|quota| {
            let is_short =
                |entry: &&QuotaEntry| entry.limit.is_some_and(|limit| limit == 0 || entry.used >= limit - limit / 10);
            let short: Vec<_> = quota.entries.iter().filter(is_short).collect();
            if short.is_empty() {
                return (Verdict::Good, "there is room for more of everything".to_owned());
            }
            let words = short
                .iter()
                .map(|entry| format!("{:?}: {} of {}", entry.resource, entry.used, entry.limit.unwrap_or_default()));
            let detail = format!("nearly used up ({}); have it raised", words.collect::<Vec<_>>().join("; "));
            (Verdict::Doubtful, detail)
        });
        found("quota", outcome)
    }
}

fn found(subject: &str, outcome: Result<(Verdict, String), BackendError>) -> Finding {
    match outcome {
        Ok((verdict, detail)) => Finding::new(subject, verdict, detail),
        // What the site does not have need not be there.
        Err(error @ BackendError::Unsupported(_)) => Finding::new(subject, Verdict::Doubtful, error.to_string()),
        Err(error) => Finding::new(subject, Verdict::Bad, error.to_string()),
    }
}

fn roles(token: &Token) -> Finding {
    let all = token.roles.join(", ");
    let has = |role: &str| token.roles.iter().any(|other| other.eq_ignore_ascii_case(role));
    if has("admin") {
        let detail = format!("{all}: an administrator may do far more than a broker needs; member is enough");
        return Finding::new("roles", Verdict::Doubtful, detail);
    }
    if !has("member") && has("reader") {
        let detail = format!("{all}: that is for looking only; give the user the role member in the project");
        return Finding::new("roles", Verdict::Bad, detail);
    }
    Finding::new("roles", Verdict::Good, all)
}

fn clock(token: &Token) -> Finding {
    let ahead = token.clock_ahead;
    if ahead.abs() <= SKEW {
        return Finding::new("clock", Verdict::Good, format!("within {SKEW} s of ours when we logged in"));
    }
    let detail = format!("Keystone's clock is {ahead} s ahead of ours; set both by a time server (NTP)");
    Finding::new("clock", Verdict::Doubtful, detail)
}
