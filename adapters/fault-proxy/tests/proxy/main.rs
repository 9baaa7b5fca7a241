//! The proxy between a caller as adapters are and a little service.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

mod doors;
mod faults;
mod service;

use std::time::Duration;

use backend::BackendError;
use backend_http::{Answer, Caller, Method, Mode, Options, Url};
use fault_proxy::FaultProxy;
use service::Service;

/// A caller that takes the proxy as its proxy, and one that takes it as the service.
struct Rig {
    service: Service,
    proxy: FaultProxy,
    caller: Caller,
    base: Url,
}

const LONG: Duration = Duration::from_secs(20);

impl Rig {
    async fn forward() -> Self {
        let service = Service::start().await;
        let proxy = FaultProxy::forward().await.unwrap();
        let options = Options { proxy: Some(proxy.url().parse().unwrap()), ..Options::new("the service") };
        let base = format!("http://{}/", service.authority()).parse().unwrap();
        Self { service, proxy, caller: Caller::new(&options).unwrap(), base }
    }

    async fn reverse() -> Self {
        let service = Service::start().await;
        let proxy = FaultProxy::to(service.authority()).await.unwrap();
        let options = Options { connect: Duration::from_secs(1), ..Options::new("the service") };
        let base = format!("{}/", proxy.url()).parse().unwrap();
        Self { service, proxy, caller: Caller::new(&options).unwrap(), base }
    }

    async fn call(&self, method: Method, path: &str, body: &str, mode: Mode) -> Result<Answer, BackendError> {
        let request = self.caller.request(method, self.base.join(path).unwrap()).body(body.to_owned());
        self.caller.send(request, mode, LONG).await
    }

    async fn get(&self, path: &str) -> Result<Answer, BackendError> {
        self.call(Method::GET, path, "", Mode::Look).await
    }

    async fn post(&self, path: &str, body: &str) -> Result<Answer, BackendError> {
        self.call(Method::POST, path, body, Mode::Change).await
    }
}
