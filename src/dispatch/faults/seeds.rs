//! Random lives: many things accepted, many things going wrong, death at any moment. The same seed is the same life, as
//! far as the threads of the machine allow.

use std::{sync::Arc, time::Duration};

use backend::{
    BackendError, StopMethod,
    simulator::{Behaviour, Delays, Fault, Operation},
};
use tokio::sync::Semaphore;

use super::{
    Tally,
    orders::{Desk, a_while},
    world::{Setting, World},
};
use crate::{
    dispatch::{Change, PowerAction},
    store::{entity::EntityId, tests::postgres::Postgres},
};

const AT_ONCE: usize = 8;
/// How many lives a run of the test suite lives on each database.
const SEEDS: u64 = 120;

/// A small generator of numbers that are the same everywhere (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

const MAKING: [Operation; 9] = [
    Operation::ProvideImage,
    Operation::Create,
    Operation::CreateVolume,
    Operation::CreateNetwork,
    Operation::Machine,
    Operation::FindByTag,
    Operation::FindVolumeByTag,
    Operation::Attach,
    Operation::Plug,
];
const UNMAKING: [Operation; 6] = [
    Operation::Delete,
    Operation::DeleteVolume,
    Operation::DeleteNetwork,
    Operation::Detach,
    Operation::Unplug,
    Operation::Stop,
];

fn fault(dice: &mut Dice) -> Fault {
    match dice.below(6) {
        0 => Fault::Before(BackendError::Unreachable("503".into())),
        1 => Fault::Before(BackendError::Failed("500".into())),
        2 => Fault::After(BackendError::Unreachable("503 though done".into())),
        3 => Fault::After(BackendError::Failed("500 though done".into())),
        4 => Fault::Before(BackendError::Capacity("full".into())),
        _ => Fault::AnswerLost,
    }
}

fn setting(dice: &mut Dice, database: Option<String>) -> Setting {
    let millis = |dice: &mut Dice, limit| Duration::from_millis(dice.below(limit));
    let delays = Delays {
        call: millis(dice, 6),
        image: millis(dice, 20),
        boot: millis(dice, 60),
        stop: millis(dice, 30),
        volume: millis(dice, 30),
        network: millis(dice, 30),
        ..Delays::default()
    };
    let listing_lag = if dice.chance(50) { millis(dice, 200) } else { Duration::ZERO };
    Setting {
        behaviour: Behaviour { delays, listing_lag, idempotent_create: dice.chance(30), ..Behaviour::default() },
        twice: dice.chance(20),
        database,
        ..Setting::default()
    }
}

async fn live(seed: u64, database: Option<String>) -> Tally {
    let mut dice = Dice(seed);
    let setting = setting(&mut dice, database);
    let mut world = World::new(setting).await;
    let mut desks: Vec<Desk> = Vec::new();
    let mut lone: Vec<EntityId> = Vec::new();
    for _ in 0..8 + dice.below(10) {
        if dice.chance(25) {
            world.death.after(1 + usize::try_from(dice.below(12)).unwrap());
        }
        if dice.chance(45) {
            let operation = if dice.chance(60) { dice.pick(&MAKING) } else { dice.pick(&UNMAKING) };
            let times = 1 + usize::try_from(dice.below(3)).unwrap();
            world.simulator().inject(operation, fault(&mut dice), times);
        }
        match dice.below(9) {
            0 | 1 => lone.push(world.order_machine().await),
            2 => desks.push(world.desk().await),
            3 if !lone.is_empty() => {
                let id = dice.pick(&lone);
                world.act(id, PowerAction::Stop(StopMethod::PowerOff)).await;
            }
            4 if !lone.is_empty() => {
                let id = dice.pick(&lone);
                world.act(id, PowerAction::Start).await;
            }
            5 if !lone.is_empty() => {
                let id = dice.pick(&lone);
                world.remove(id).await;
            }
            6 if !desks.is_empty() => {
                let desk = dice.pick(&desks);
                let id = dice.pick(&[desk.machine, desk.volume, desk.network, desk.disk, desk.interface]);
                world.remove(id).await;
            }
            7 if !desks.is_empty() => {
                let desk = dice.pick(&desks);
                world.change(desk.network, if dice.chance(50) { Change::Up } else { Change::Down }).await;
            }
            _ => a_while(dice.below(80)).await,
        }
        if tokio::time::timeout(Duration::from_millis(dice.below(30)), world.death.comes()).await.is_ok() {
            world.kill().await;
        }
    }
    world.check().await
}

/// How many lives, and the seed of the first.
#[expect(clippy::disallowed_methods, reason = "what a run of the harness is told")]
fn lives() -> (u64, u64) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    (number("TOMBOLO_FAULT_FIRST").unwrap_or(1), number("TOMBOLO_FAULT_SEEDS").unwrap_or(SEEDS))
}

async fn live_all(postgres: Option<&Postgres>) -> Tally {
    let (first, count) = lives();
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut worlds = tokio::task::JoinSet::new();
    let mut tally = Tally::default();
    for seed in first..first + count {
        let turn = Arc::clone(&turns).acquire_owned().await.unwrap();
        let database =
            postgres.map(|postgres| tokio::task::block_in_place(|| postgres.make_store(&format!("seed_{seed}"))));
        worlds.spawn(async move {
            let _turn = turn;
            (seed, tokio::spawn(live(seed, database)).await)
        });
        while let Some(ended) = worlds.try_join_next() {
            note(postgres, ended.unwrap(), &mut tally);
        }
    }
    while let Some(ended) = worlds.join_next().await {
        note(postgres, ended.unwrap(), &mut tally);
    }
    tally
}

fn note(postgres: Option<&Postgres>, (seed, outcome): (u64, Result<Tally, tokio::task::JoinError>), tally: &mut Tally) {
    if let Some(postgres) = postgres {
        tokio::task::block_in_place(|| postgres.drop_database(&format!("seed_{seed}")));
    }
    let again = format!("repeat it with TOMBOLO_FAULT_FIRST={seed} TOMBOLO_FAULT_SEEDS=1");
    match outcome {
        Ok(life) => {
            if life.duplicates + life.lost + life.orphans > 0 {
                eprintln!("seed {seed}: {life:?}; {again}");
            }
            tally.add(&life);
        }
        Err(error) => panic!("seed {seed}: {error}; {again}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seeds_on_sqlite() {
    live_all(None).await.report("seeds", "sqlite");
}

#[tokio::test(flavor = "multi_thread")]
async fn seeds_on_postgresql() {
    let postgres = Postgres::start();
    tokio::task::block_in_place(|| postgres.await_start());
    live_all(Some(&postgres)).await.report("seeds", "postgresql");
}
