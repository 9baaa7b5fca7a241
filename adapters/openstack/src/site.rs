use std::{
    collections::HashSet,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backend::{BackendError, SizeOffer, request};
use tokio::time::{Instant, sleep};

use crate::{cloud::Cloud, nova, paging, service::Service, turns::Turns};

/// For how long flavors are remembered.
const FLAVORS_HOLD: Duration = Duration::from_secs(30);
const FIRST_LOOK: Duration = Duration::from_millis(100);

/// One site: its services, and what this process knows of them.
pub(crate) struct Site {
    pub(crate) cloud: Cloud,
    pub(crate) turns: Turns,
    sizes: tokio::sync::Mutex<Option<(Instant, Arc<Vec<SizeOffer>>)>>,
    confirming: Mutex<HashSet<String>>,
    lacks_volumes: AtomicBool,
    lacks_addresses: AtomicBool,
}

impl Site {
    pub(crate) fn new(cloud: Cloud) -> Self {
        Self {
            cloud,
            turns: Turns::default(),
            sizes: tokio::sync::Mutex::default(),
            confirming: Mutex::default(),
            lacks_volumes: AtomicBool::new(false),
            lacks_addresses: AtomicBool::new(false),
        }
    }

    /// Whether the site is known to have no volumes. What nobody has looked for yet may be there.
    pub(crate) fn lacks_volumes(&self) -> bool {
        self.lacks_volumes.load(Ordering::Relaxed)
    }

    /// Whether the site is known to have no network for reserved addresses.
    pub(crate) fn lacks_addresses(&self) -> bool {
        self.lacks_addresses.load(Ordering::Relaxed)
    }

    /// Notes what a look at the site has shown.
    pub(crate) fn has_parts(&self, volumes: bool, addresses: bool) {
        self.lacks_volumes.store(!volumes, Ordering::Relaxed);
        self.lacks_addresses.store(!addresses, Ordering::Relaxed);
    }

    /// What machines can be, the least first.
    pub(crate) async fn sizes(&self) -> Result<Arc<Vec<SizeOffer>>, BackendError> {
        let mut known = self.sizes.lock().await;
        if let Some((until, sizes)) = known.as_ref()
            && Instant::now() < *until
        {
            return Ok(Arc::clone(sizes));
        }
        let call = self.cloud.get(Service::Compute, &["flavors", "detail"], "flavors");
        let flavors: Vec<nova::Flavor> = paging::all(call, "flavors").await?;
        let sizes = Arc::new(nova::offers(&flavors, self.cloud.options.boot_from_volume));
        *known = Some((Instant::now() + FLAVORS_HOLD, Arc::clone(&sizes)));
        Ok(sizes)
    }

    /// Looks again and again until `look` answers something, for the time that effects may take.
    pub(crate) async fn await_effect<T, F>(
        &self,
        about: &str,
        look: impl FnMut() -> F + Send,
    ) -> Result<T, BackendError>
    where
        F: Future<Output = Result<Option<T>, BackendError>> + Send,
    {
        self.await_for(self.cloud.options.patience.effect(), about, look).await
    }

    /// The same, for this long.
    pub(crate) async fn await_for<T, F>(
        &self,
        patience: Duration,
        about: &str,
        mut look: impl FnMut() -> F + Send,
    ) -> Result<T, BackendError>
    where
        F: Future<Output = Result<Option<T>, BackendError>> + Send,
    {
        let until = Instant::now() + patience;
        let longest = self.cloud.options.patience.look();
        let mut pause = FIRST_LOOK.min(longest);
        loop {
            match look().await {
                Ok(Some(found)) => return Ok(found),
                // A look that fails on the way says nothing of what is looked at.
                Err(error @ BackendError::Unreachable(_)) if Instant::now() >= until => return Err(error),
                Ok(None) | Err(BackendError::Unreachable(_)) => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= until {
                let seconds = patience.as_secs();
                return Err(BackendError::Unreachable(format!(
                    "{about}: not done after {seconds} s, and still on its way"
                )));
            }
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Whether nobody confirms this resize yet; from now on the caller does.
    pub(crate) fn begins_to_confirm(&self, server: &str) -> bool {
        self.confirming.lock().unwrap_or_else(PoisonError::into_inner).insert(server.to_owned())
    }

    pub(crate) fn has_confirmed(&self, server: &str) {
        self.confirming.lock().unwrap_or_else(PoisonError::into_inner).remove(server);
    }
}

/// Runs several steps to their end, whether the caller still waits or not: half of them would leave something behind.
/// They are on behalf of the caller's request.
pub(crate) async fn to_the_end<T: Send + 'static>(
    steps: impl Future<Output = Result<T, BackendError>> + Send + 'static,
) -> Result<T, BackendError> {
    let task = match request::current() {
        Some(id) => tokio::spawn(request::scope(id, steps)),
        None => tokio::spawn(steps),
    };
    task.await.unwrap_or_else(|error| Err(BackendError::Failed(format!("the adapter itself broke: {error}"))))
}
