use std::sync::{Arc, OnceLock};

use backend::BackendError;
use backend_http::{Caller, Method, Mode, Options, OptionsError, StatusCode};
use serde::Deserialize;
use url::Url;

use crate::{
    OpenStackOptions,
    call::Call,
    keystone::{Session, Token},
    microversion::Microversion,
    refusal,
    service::Service,
};

/// All services of one site, called for one project.
pub(crate) struct Cloud {
    pub(crate) options: OpenStackOptions,
    pub(crate) caller: Caller,
    pub(crate) session: Session,
    compute: OnceLock<Microversion>,
    volume: OnceLock<Microversion>,
    placement: OnceLock<Microversion>,
}

impl Cloud {
    pub(crate) fn new(options: OpenStackOptions) -> Result<Self, OptionsError> {
        let host = options.auth_url.host_str().unwrap_or("?").to_owned();
        let mut http = Options::new(format!("OpenStack at {host}"));
        http.authorities.clone_from(&options.authorities);
        http.proxy.clone_from(&options.proxy);
        let caller = Caller::new(&http)?;
        Ok(Self {
            session: Session::new(&options, caller.clone()),
            caller,
            options,
            compute: OnceLock::new(),
            volume: OnceLock::new(),
            placement: OnceLock::new(),
        })
    }

    /// A call to be completed: `about` is its object, for people.
    pub(crate) fn call(&self, service: Service, method: Method, path: &[&str], about: impl Into<String>) -> Call<'_> {
        Call::new(self, service, method, path, about.into())
    }

    /// A look.
    pub(crate) fn get(&self, service: Service, path: &[&str], about: impl Into<String>) -> Call<'_> {
        self.call(service, Method::GET, path, about)
    }

    /// Where a service is.
    pub(crate) fn endpoint(&self, service: Service, token: &Token) -> Result<Url, BackendError> {
        if let Some(url) = self.options.endpoints.get(&service) {
            return Ok(url.clone());
        }
        token.catalogue.endpoint(service, self.options.interface, self.options.region.as_deref())
    }

    /// Whether the site has the service: as far as options and catalogue tell.
    pub(crate) fn has(&self, service: Service, token: &Token) -> bool {
        self.options.endpoints.contains_key(&service) || token.catalogue.has(service)
    }

    /// The microversion that is spoken with the service, asked for once.
    pub(crate) async fn version(
        &self,
        service: Service,
        token: &Arc<Token>,
    ) -> Result<Option<Microversion>, BackendError> {
        let Some(wanted) = service.wanted() else { return Ok(None) };
        let known = match service {
            Service::Compute => &self.compute,
            Service::BlockStorage => &self.volume,
            _ => &self.placement,
        };
        if let Some(version) = known.get() {
            return Ok(Some(*version));
        }
        let (lowest, highest) = self.offered(service, token).await?;
        let version = wanted.choose(&service.to_string(), lowest, highest)?;
        Ok(Some(*known.get_or_init(|| version)))
    }

    /// The lowest and the highest microversion that the service offers.
    pub(crate) async fn offered(
        &self,
        service: Service,
        token: &Arc<Token>,
    ) -> Result<(Microversion, Microversion), BackendError> {
        let document = service.version_document(&self.endpoint(service, token)?);
        let request = self.caller.request(Method::GET, document).header("x-auth-token", token.header.clone());
        let answer = self.caller.send(request, Mode::Look, self.options.patience.answer()).await?;
        if !answer.status.is_success() && answer.status != StatusCode::MULTIPLE_CHOICES {
            return Err(refusal::of(&answer, &format!("the versions of the {service}"), false));
        }
        let document: VersionDocument = answer.json()?;
        let versions = document.version.into_iter().chain(document.versions);
        let ranges = versions.filter_map(|version| version.range());
        ranges.max_by_key(|(_, highest)| *highest).ok_or_else(|| {
            BackendError::Unsupported(format!("be spoken to: its {service} tells no microversions; it is too old"))
        })
    }
}

/// Services tell one version or a list.
#[derive(Deserialize)]
struct VersionDocument {
    version: Option<Version>,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    min_version: Option<String>,
    /// Nova and Cinder.
    #[serde(default)]
    version: Option<String>,
    /// Placement.
    #[serde(default)]
    max_version: Option<String>,
}

impl Version {
    fn range(&self) -> Option<(Microversion, Microversion)> {
        let highest = self.max_version.as_deref().or(self.version.as_deref())?;
        Some((self.min_version.as_deref()?.parse().ok()?, highest.parse().ok()?))
    }
}
