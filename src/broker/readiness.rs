//! Whether this process can do its work, for those who decide whether to send it requests.

use std::time::Duration;

use tokio::{sync::Mutex, task::JoinHandle, time::Instant};

use super::Broker;
use crate::{
    dispatch::SiteView,
    store::{self, Db, StoreError},
};

/// For so long one answer of the database is everybody's: asking is cheap, and must not become work for the database.
const SHARED_FOR: Duration = Duration::from_secs(1);
/// A database that takes longer than this is not there.
const PATIENCE: Duration = Duration::from_secs(2);

/// What can be done at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// What keeps this process from its work, a line each; empty when nothing does.
    pub obstacles: Vec<String>,
    /// Sites that do not answer. Requests for others are served.
    pub away: Vec<String>,
}

impl Broker {
    /// Whether requests can be served.
    pub async fn readiness(&self) -> Readiness {
        let obstacles = self.inner.database_check.outcome(&self.inner.db).await.err().into_iter().collect();
        let present = self.inner.dispatch.sites().present();
        let away =
            present.iter().filter(|site| matches!(site.view(), SiteView::Unreachable(_))).map(|site| site.name.clone());
        Readiness { obstacles, away: away.collect() }
    }
}

/// The database, asked now and then by one at a time.
#[derive(Default)]
pub(super) struct DatabaseCheck(Mutex<State>);

#[derive(Default)]
struct State {
    /// Asked, and not answered yet: there is never a second question behind it.
    asked: Option<JoinHandle<Result<(), StoreError>>>,
    last: Option<(Instant, Result<(), String>)>,
}

impl DatabaseCheck {
    async fn outcome(&self, db: &Db) -> Result<(), String> {
        let db = db.clone();
        self.of(async move || store::readiness::check(&db).await).await
    }

    async fn of<F>(&self, ask: impl FnOnce() -> F + Send + 'static) -> Result<(), String>
    where
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let mut state = self.0.lock().await;
        if let Some((at, outcome)) = &state.last
            && at.elapsed() < SHARED_FOR
        {
            return outcome.clone();
        }
        let asked = state.asked.get_or_insert_with(|| tokio::spawn(ask()));
        let outcome = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(answer) => {
                state.asked = None;
                match answer {
                    Ok(Ok(())) => Ok(()),
                    // The database's own words are for the log, not for strangers.
                    Ok(Err(error)) => Err(("the database refuses a read or a write", error.to_string())),
                    Err(error) => Err(("the database could not be asked", error.to_string())),
                }
            }
            Err(_) => Err(("the database does not answer within 2 s", String::new())),
        };
        let outcome = outcome.map_err(|(obstacle, reason)| {
            if !matches!(state.last, Some((_, Err(_)))) {
                tracing::warn!(obstacle, reason, "this process is not ready for requests");
            }
            obstacle.to_owned()
        });
        state.last = Some((Instant::now(), outcome.clone()));
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// A database that counts how often it is asked, and answers when it is let.
    fn counting(
        asked: &Arc<AtomicUsize>,
        answers: &Arc<tokio::sync::Semaphore>,
    ) -> impl FnOnce() -> std::pin::Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>> + Send + use<> {
        let (asked, answers) = (Arc::clone(asked), Arc::clone(answers));
        move || {
            Box::pin(async move {
                asked.fetch_add(1, Ordering::SeqCst);
                answers.acquire().await.map_err(|_| StoreError::Interrupted)?.forget();
                Ok(())
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_database_is_asked_once_a_second_whoever_wants_to_know() {
        let (asked, answers) = (Arc::default(), Arc::new(tokio::sync::Semaphore::new(100)));
        let check = DatabaseCheck::default();
        for _ in 0..50 {
            assert_eq!(check.of(counting(&asked, &answers)).await, Ok(()));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        tokio::time::advance(SHARED_FOR).await;
        assert_eq!(check.of(counting(&asked, &answers)).await, Ok(()));
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_database_is_an_obstacle_and_asked_no_second_time_until_it_answers() {
        let (asked, answers) = (Arc::default(), Arc::new(tokio::sync::Semaphore::new(0)));
        let check = DatabaseCheck::default();
        for _ in 0..3 {
            let obstacle = check.of(counting(&asked, &answers)).await.unwrap_err();
            assert!(obstacle.contains("2 s"), "{obstacle}");
            tokio::time::advance(SHARED_FOR).await;
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        answers.add_permits(1);
        assert_eq!(check.of(counting(&asked, &answers)).await, Ok(()));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_database_that_refuses_is_an_obstacle_without_its_words() {
        let refuse = || async { Err(StoreError::Pool("host=secret".into())) };
        let obstacle = DatabaseCheck::default().of(refuse).await.unwrap_err();
        assert!(obstacle.contains("refuses") && !obstacle.contains("secret"), "{obstacle}");
    }
}
