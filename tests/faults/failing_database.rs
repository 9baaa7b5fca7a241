//! F15 and F16: the database dies under load, or takes nothing more.

use std::{
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    accepted::{machine_body, path_of},
    database::Database,
    postgres::{PASSWORD, Postgres, unprivileged},
    world::{PATIENCE, Promise, World},
};

/// Ends a PostgreSQL with everything that belongs to it, as a host that loses its power does.
fn kill_postgres(data: &std::path::Path) {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).unwrap();
    let pid: i32 = text.lines().next().unwrap().parse().unwrap();
    // Each of them is a process group of its own or in the postmaster's; its children are found by their parent.
    let children = Command::new("pgrep").arg("-P").arg(pid.to_string()).output().unwrap();
    let children = String::from_utf8(children.stdout).unwrap();
    for one in std::iter::once(pid).chain(children.lines().filter_map(|line| line.parse().ok())) {
        let _ = rustix::process::kill_process(Pid::from_raw(one).unwrap(), Signal::KILL);
    }
}

/// Waits until this PostgreSQL answers a statement.
fn await_postgres(address: &str) {
    let began = Instant::now();
    loop {
        let mut command = Command::new("psql");
        command.arg(address).args(["-Atqc", "SELECT 1"]).stdout(Stdio::null()).stderr(Stdio::null());
        if command.status().unwrap().success() {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "PostgreSQL does not come back");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Asks for machines until told to stop; answers what was promised, and how often writing was refused.
async fn load(world: &World, stop: &std::sync::atomic::AtomicBool) -> (Vec<Promise>, usize) {
    let (mut promises, mut refused) = (Vec::new(), 0);
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        for replica in 0..world.servers.len() {
            let answer = world.post(replica, "/compute/", &Uuid::now_v7().to_string(), &machine_body()).await.unwrap();
            match answer.status {
                StatusCode::CREATED => {
                    promises.push(Promise { path: path_of(&answer.header("location")), removed: false });
                }
                StatusCode::SERVICE_UNAVAILABLE => refused += 1,
                other => panic!("{other}: {}", answer.body),
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (promises, refused)
}

/// Does something terrible to the database while clients go on; answers how long no write was accepted.
async fn under_load(world: &mut World, disaster: impl FnOnce() + Send + 'static) -> Duration {
    let stop = std::sync::atomic::AtomicBool::new(false);
    let shared = &*world;
    let during = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        tokio::task::spawn_blocking(disaster).await.unwrap();
        // Work again: a new request is accepted.
        loop {
            let answer = shared.post(0, "/compute/", "after the disaster", &machine_body()).await.unwrap();
            if answer.status == StatusCode::CREATED {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "writes never work again: {} {}", answer.status, answer.body);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let outage = began.elapsed();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        outage
    };
    let ((promises, refused), outage) = tokio::join!(load(shared, &stop), during);
    assert!(!promises.is_empty());
    eprintln!("{} accepted, {refused} refused, nothing written for {outage:?}", promises.len());
    world.accepted.extend(promises);
    // The one that told us that all is well again.
    let again = world.post(0, "/compute/", "after the disaster", &machine_body()).await.unwrap();
    assert_eq!(again.status, StatusCode::CREATED);
    world.accepted.push(Promise { path: path_of(&again.header("location")), removed: false });
    outage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f15_a_database_that_is_killed_and_started_again_on_postgresql() {
    let postgres = Arc::new(Postgres::start());
    let mut world = World::on_postgres(2, &postgres, "killed").await;
    world.start_all();
    let data = postgres.directory.path().join("data");
    let (programs, socket, address) =
        (postgres.programs.clone(), postgres.directory.path().to_owned(), postgres.address());
    let (sender, receiver) = std::sync::mpsc::channel();
    let outage = under_load(&mut world, move || {
        kill_postgres(&data);
        sender.send(start_postgres(&programs.join("postgres"), &socket, &data)).unwrap();
        await_postgres(&address);
    })
    .await;
    let _server = receiver.recv().unwrap();
    let mut tally = world.check().await;
    tally.kills += 1;
    tally.seconds("no write for, s", outage);
    tally.report("F15 (restart)", "postgresql");
}

/// Starts a PostgreSQL on data that is there; it ends with the value.
fn start_postgres(program: &std::path::Path, socket: &std::path::Path, data: &std::path::Path) -> Started {
    let began = Instant::now();
    loop {
        // As long as one process of the former server lives, the new one refuses to start.
        let mut server = unprivileged(program)
            .args(["-c", "listen_addresses=", "-c", "max_connections=400", "-k"])
            .arg(socket)
            .arg("-D")
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(300));
        if server.try_wait().unwrap().is_none() {
            return Started { server, data: data.to_owned() };
        }
        assert!(began.elapsed() < PATIENCE, "PostgreSQL does not start");
    }
}

struct Started {
    server: Child,
    data: std::path::PathBuf,
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.data.join("postmaster.pid").exists() {
            kill_postgres(&self.data);
        }
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A copy of a PostgreSQL that follows it, and that every commit waits for.
struct Standby {
    directory: TempDir,
    started: Started,
}

impl Standby {
    fn of(postgres: &Postgres) -> Self {
        postgres.run("ALTER SYSTEM SET synchronous_standby_names = 'standby'");
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        if rustix::process::geteuid().is_root() {
            let owned = Command::new("chown").arg("postgres").arg(directory.path()).status().unwrap();
            assert!(owned.success());
        }
        let copied = unprivileged(&postgres.programs.join("pg_basebackup"))
            .env("PGPASSWORD", PASSWORD)
            .args(["-R", "-X", "stream", "--no-sync", "--checkpoint=fast", "-U", "tester", "-h"])
            .arg(postgres.directory.path())
            .arg("-D")
            .arg(&data)
            .output()
            .unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        let settings = std::fs::read_to_string(data.join("postgresql.auto.conf")).unwrap();
        // Later lines count; the copy itself waits for nobody once it is the primary.
        let named = settings.replace("primary_conninfo = '", "primary_conninfo = 'application_name=standby ");
        std::fs::write(data.join("postgresql.auto.conf"), named + "synchronous_standby_names = ''\n").unwrap();
        let started = start_postgres(&postgres.programs.join("postgres"), directory.path(), &data);
        postgres.run("SELECT pg_reload_conf()");
        let began = Instant::now();
        while postgres.run("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != "1" {
            assert!(began.elapsed() < PATIENCE, "the standby does not follow");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { directory, started }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f15_a_standby_takes_the_place_of_a_primary_that_is_killed_on_postgresql() {
    let postgres = Arc::new(Postgres::start());
    let standby = Standby::of(&postgres);
    let encoded =
        |path: &std::path::Path| path.to_str().unwrap().bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let both = format!(
        "{},{}/postgres?target_session_attrs=read-write&connect_timeout=2",
        postgres.address().rsplit_once('/').unwrap().0,
        encoded(standby.directory.path()),
    );
    let mut world = World::with(2, Some(Database::Postgres(both, Arc::clone(&postgres))), "").await;
    world.start_all();
    let data = postgres.directory.path().join("data");
    let (promote, copy) = (postgres.programs.join("pg_ctl"), standby.started.data.clone());
    let outage = under_load(&mut world, move || {
        kill_postgres(&data);
        let promoted =
            unprivileged(&promote).arg("promote").arg("-D").arg(&copy).stdout(Stdio::null()).status().unwrap();
        assert!(promoted.success());
    })
    .await;
    let mut tally = world.check().await;
    tally.kills += 1;
    tally.seconds("no write for, s", outage);
    tally.report("F15 (fail-over)", "postgresql");
}

/// Writes are refused with a reason and a time, reads go on.
async fn assert_read_only(world: &mut World) {
    let known = world.accepted[0].path.clone();
    let began = Instant::now();
    loop {
        let answer = world.post(0, "/compute/", &Uuid::now_v7().to_string(), &machine_body()).await.unwrap();
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            break;
        }
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        world.accepted.push(Promise { path: path_of(&answer.header("location")), removed: false });
        assert!(began.elapsed() < PATIENCE, "writes are still accepted");
    }
    for path in [known.as_str(), "/compute/", "/-/"] {
        let answer = world.server(0).get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "GET {path}: {}", answer.body);
    }
    assert_eq!(world.server(0).delete(&known).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn f16_a_database_that_is_only_readable_on_postgresql() {
    let postgres = Arc::new(Postgres::start());
    let mut world = World::on_postgres(1, &postgres, "readable").await;
    world.start_all();
    world.order_machine().await;
    world.settle().await;
    let read_only = |is: &str| {
        postgres.run(&format!("ALTER SYSTEM SET default_transaction_read_only = {is}"));
        postgres.run("SELECT pg_reload_conf()");
    };
    read_only("on");
    assert_read_only(&mut world).await;
    read_only("off");
    let well = Instant::now();
    world.order_machine().await;
    let mut tally = world.check().await;
    tally.seconds("writes again after, s", well.elapsed());
    tally.report("F16", "postgresql");
}

#[tokio::test(flavor = "multi_thread")]
async fn f16_a_disk_that_is_full_on_sqlite() {
    let mut world = World::on_small_disk("3m").await;
    world.order_machine().await;
    world.settle().await;
    let filler = world.small_disk().join("filler");
    let full = std::fs::write(&filler, vec![0; 4 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    assert_read_only(&mut world).await;
    std::fs::remove_file(filler).unwrap();
    let well = Instant::now();
    world.order_machine().await;
    let mut tally = world.check().await;
    tally.seconds("writes again after, s", well.elapsed());
    tally.report("F16", "sqlite");
}
