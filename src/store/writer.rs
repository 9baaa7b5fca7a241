//! The one writer of a SQLite database: a thread with a connection of its own, which commits in groups.
//!
//! A commit waits for the disk, and SQLite takes one at a time; so all jobs that have come meanwhile share the next one:
//! `BEGIN IMMEDIATE`, each job within a savepoint, `COMMIT`, and only then the answers. What holds:
//!
//! * **An answer is durable.** Nobody hears anything before the `COMMIT` of his group (`synchronous = FULL`) has come
//!   back, success or failure: a failure too may rest on what another job of the group has written.
//! * **A job is all or nothing, and alone.** One that fails or panics is rolled back to its savepoint, and leaves the
//!   others as they are. Jobs run one after the other, in the order in which they came; each sees the ones before it.
//! * **A group stands or falls together.** If it cannot begin or commit, or SQLite has ended the transaction on its
//!   own (a full disk does that), then nothing of it is written and all its jobs hear so.
//! * **A group is bounded** in jobs and in time, and so is the queue: who asks waits until there is room.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use diesel::connection::SimpleConnection;
use tokio::sync::{mpsc, oneshot};

use super::{DbConnection, StoreError};

/// Most jobs of one commit.
const MOST_JOBS: usize = 64;
/// No job joins a group that has been at work for this long.
const LONGEST: Duration = Duration::from_millis(5);
/// Most jobs that wait for their turn.
const QUEUE: usize = 1024;

/// The queue to the writing thread, which ends with the last of its owners.
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
}

impl Writer {
    /// Starts the thread on this connection.
    pub(super) fn start(mut connection: DbConnection) -> std::io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Box<dyn Job>>(QUEUE);
        std::thread::Builder::new().name("store-writer".into()).spawn(move || {
            while let Some(first) = queue.blocking_recv() {
                commit_group(&mut connection, first, &mut queue);
            }
        })?;
        Ok(Self { jobs })
    }

    /// Runs the work in its turn and answers when it is committed.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut DbConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let (asker, answer) = oneshot::channel();
        let job = Box::new(Asked { work, outcome: Err(StoreError::Interrupted), asker });
        self.jobs.send(job).await.map_err(|_| StoreError::Interrupted)?;
        answer.await.map_err(|_| StoreError::Interrupted)?
    }
}

/// Work in the queue.
trait Job: Send {
    /// Does the work, keeps its outcome, and says whether what it wrote is to stay.
    fn run(&mut self, connection: &mut DbConnection) -> bool;
    /// Hands the outcome over.
    fn answer(self: Box<Self>);
    /// Hands this over instead of the outcome.
    fn fail(self: Box<Self>, error: StoreError);
}

struct Asked<T, F> {
    work: F,
    outcome: Result<T, StoreError>,
    asker: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Asked<T, F>
where
    T: Send,
    F: Fn(&mut DbConnection) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, connection: &mut DbConnection) -> bool {
        // The thread serves others: a panic ends the job, not the thread. What the job wrote is rolled back, and
        // nothing else of it is used again.
        self.outcome =
            catch_unwind(AssertUnwindSafe(|| (self.work)(connection))).unwrap_or(Err(StoreError::Interrupted));
        self.outcome.is_ok()
    }

    // Who asked may have gone; the work was done for him nevertheless.
    fn answer(self: Box<Self>) {
        let _ = self.asker.send(self.outcome);
    }

    fn fail(self: Box<Self>, error: StoreError) {
        let _ = self.asker.send(Err(error));
    }
}

fn commit_group(connection: &mut DbConnection, first: Box<dyn Job>, queue: &mut mpsc::Receiver<Box<dyn Job>>) {
    if let Err(error) = connection.batch_execute("BEGIN IMMEDIATE") {
        first.fail(error.into());
        return;
    }
    let began = Instant::now();
    let mut group = Vec::new();
    let mut next = Some(first);
    let mut outcome = Ok(());
    while let Some(mut job) = next.take() {
        outcome = run_alone(connection, &mut *job);
        group.push(job);
        if outcome.is_ok() && group.len() < MOST_JOBS && began.elapsed() < LONGEST {
            next = queue.try_recv().ok();
        }
    }
    match outcome.and_then(|()| connection.batch_execute("COMMIT")) {
        Ok(()) => group.into_iter().for_each(|job| job.answer()),
        Err(error) => {
            tracing::error!(%error, jobs = group.len(), "a group of writes is lost; each hears so");
            // There may be no transaction left to end.
            let _ = connection.batch_execute("ROLLBACK");
            for job in group {
                job.fail(StoreError::NotCommitted(error.to_string()));
            }
        }
    }
}

/// Runs a job within a savepoint. An error is one of the transaction; the job's own is its outcome.
fn run_alone(connection: &mut DbConnection, job: &mut dyn Job) -> diesel::QueryResult<()> {
    connection.batch_execute("SAVEPOINT job")?;
    if job.run(connection) {
        connection.batch_execute("RELEASE job")
    } else {
        connection.batch_execute("ROLLBACK TO job; RELEASE job")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};

    use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
    use futures_util::future::join_all;

    use crate::store::{Db, DbConnection, StoreError, schema::projects::dsl};

    fn db(directory: &tempfile::TempDir) -> Db {
        Db::open(directory.path().join("t.sqlite").to_str().unwrap()).unwrap()
    }

    fn insert(connection: &mut DbConnection, name: &str) -> Result<(), StoreError> {
        diesel::insert_into(dsl::projects)
            .values((dsl::id.eq(name), dsl::name.eq(name), dsl::created_at.eq(0)))
            .execute(connection)?;
        Ok(())
    }

    async fn names(db: &Db) -> Vec<String> {
        db.read(|c| Ok(dsl::projects.select(dsl::name).order(dsl::name.asc()).load(c)?)).await.unwrap()
    }

    type Work = Box<dyn Fn(&mut DbConnection) -> Result<(), StoreError> + Send>;

    /// Queues the works while the writer is held up, so that they make one group.
    async fn in_one_group(db: &Db, works: Vec<Work>) -> Vec<Result<(), StoreError>> {
        let (free, held) = mpsc::channel::<()>();
        let held = Mutex::new(held);
        let (other, before) = (db.clone(), Arc::new(tokio::sync::Notify::new()));
        let begun = Arc::clone(&before);
        let first = tokio::spawn(async move {
            let hold = move |_: &mut DbConnection| {
                begun.notify_one();
                // Until the sender is gone; by then no other job joins this group.
                let _ = held.lock().unwrap().recv();
                std::thread::sleep(super::LONGEST);
                Ok(())
            };
            other.write(hold).await
        });
        before.notified().await;
        let queued = join_all(works.into_iter().map(|work| db.write(work)));
        let release = async {
            // Polled after the others, all of which have been put into the queue by then.
            drop(free);
        };
        let (outcomes, ()) = tokio::join!(queued, release);
        first.await.unwrap().unwrap();
        outcomes
    }

    #[tokio::test]
    async fn a_failure_and_a_panic_between_good_jobs_take_nothing_with_them() {
        let directory = tempfile::tempdir().unwrap();
        let db = db(&directory);
        let works: Vec<Work> = vec![
            Box::new(|c| insert(c, "a")),
            Box::new(|c| insert(c, "b").and_then(|()| insert(c, "a"))),
            Box::new(|c| {
                insert(c, "c")?;
                panic!("in the middle");
            }),
            Box::new(|c| insert(c, "d")),
        ];
        let outcomes = in_one_group(&db, works).await;
        assert!(outcomes[0].is_ok() && outcomes[3].is_ok());
        assert!(outcomes[1].as_ref().unwrap_err().is_duplicate(), "it sees the job before it");
        assert!(matches!(outcomes[2], Err(StoreError::Interrupted)));
        assert_eq!(names(&db).await, ["a", "d"]);
    }

    #[tokio::test]
    async fn a_group_that_cannot_commit_is_lost_to_all_of_it_and_to_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let db = db(&directory);
        let orphan = "PRAGMA defer_foreign_keys = ON; \
                      INSERT INTO user_mixins VALUES ('nobody', 'x', NULL, '', '', '/', 0);";
        let works: Vec<Work> = vec![
            Box::new(|c| insert(c, "a")),
            Box::new(move |c| Ok(diesel::connection::SimpleConnection::batch_execute(c, orphan)?)),
            Box::new(|c| insert(c, "a")),
        ];
        for outcome in in_one_group(&db, works).await {
            assert!(matches!(outcome, Err(StoreError::NotCommitted(_))), "{outcome:?}");
        }
        assert!(names(&db).await.is_empty());
        db.write(|connection| insert(connection, "a")).await.unwrap();
        assert_eq!(names(&db).await, ["a"]);
    }

    #[tokio::test]
    async fn a_transaction_that_ended_on_its_own_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let db = db(&directory);
        let works: Vec<Work> = vec![
            Box::new(|c| insert(c, "a")),
            // As SQLite does by itself when the disk is full, with the error swallowed.
            Box::new(|c| Ok(diesel::connection::SimpleConnection::batch_execute(c, "ROLLBACK")?)),
            Box::new(|c| insert(c, "b")),
        ];
        let outcomes = in_one_group(&db, works).await;
        assert!(outcomes[..2].iter().all(|outcome| matches!(outcome, Err(StoreError::NotCommitted(_)))));
        assert!(outcomes[2].is_ok(), "it came to another group: {:?}", outcomes[2]);
        assert_eq!(names(&db).await, ["b"]);
    }

    #[tokio::test]
    async fn jobs_run_one_after_the_other_in_the_order_of_their_coming() {
        let directory = tempfile::tempdir().unwrap();
        let db = db(&directory);
        // Groups and groups of them; as many as find room in the queue at once, and then more than that.
        for count in [super::QUEUE, 2 * super::QUEUE] {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let jobs = (0..count).map(|number| {
                let seen = Arc::clone(&seen);
                db.write(move |_| {
                    seen.lock().unwrap().push(number);
                    Ok(())
                })
            });
            // Otherwise the runtime has some of them wait for the sake of other tasks.
            for outcome in tokio::task::unconstrained(join_all(jobs)).await {
                outcome.unwrap();
            }
            let seen = seen.lock().unwrap();
            assert_eq!(seen.len(), count);
            assert!(seen[..super::QUEUE].iter().copied().eq(0..super::QUEUE));
        }
    }

    #[tokio::test]
    async fn what_is_answered_is_seen_by_others_and_the_queue_is_done_although_nobody_waits() {
        let directory = tempfile::tempdir().unwrap();
        let db = db(&directory);
        for number in 0..20 {
            let name = format!("{number:02}");
            db.write(move |connection| insert(connection, &name)).await.unwrap();
            assert_eq!(names(&db).await.len(), number + 1);
        }
        let mut forgotten = Box::pin(db.write(|connection| insert(connection, "forgotten")));
        assert!(futures_util::poll!(&mut forgotten).is_pending());
        drop(forgotten);
        db.write(|_| Ok(())).await.unwrap();
        assert!(names(&db).await.contains(&"forgotten".to_owned()));
    }
}
