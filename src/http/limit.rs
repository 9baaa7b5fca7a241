//! How often somebody may do something. What is kept of whom is bounded: strangers can have any number of addresses.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Mutex,
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock, Reference},
    middleware::NoOpMiddleware,
    state::keyed::DashMapStateStore,
};

/// So many are told apart at once; who comes after them shares one place with all others like that.
const MOST_KEYS: usize = 20_000;

/// Too often; again after so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOften(pub u64);

/// Who is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key<K> {
    Known(K),
    Others,
}

type Limiter<K, C> = RateLimiter<Key<K>, DashMapStateStore<Key<K>>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// A limit for each of many.
pub struct Limit<K: Hash + Eq + Clone, C: Clock = DefaultClock> {
    limiter: Limiter<K, C>,
    clock: C,
    most: usize,
    /// Held by who clears away those who have come back to their whole share.
    clearing: Mutex<Option<C::Instant>>,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    /// So often at once, and once more whenever this time has passed.
    pub fn new(at_once: NonZeroU32, one_more_after: Duration) -> Self {
        Self::with_clock(at_once, one_more_after, MOST_KEYS, DefaultClock::default())
    }
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Limit<K, C> {
    fn with_clock(at_once: NonZeroU32, one_more_after: Duration, most: usize, clock: C) -> Self {
        // Only no time at all is none.
        let quota = Quota::with_period(one_more_after).unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN));
        let limiter = RateLimiter::dashmap_with_clock(quota.allow_burst(at_once), clock.clone());
        Self { limiter, clock, most, clearing: Mutex::default() }
    }

    /// Counts once more.
    ///
    /// # Errors
    /// That was too often.
    pub fn take(&self, who: K) -> Result<(), TooOften> {
        let key = if self.has_room() { Key::Known(who) } else { Key::Others };
        self.limiter.check_key(&key).map_err(|refused| {
            let wait = refused.wait_time_from(self.clock.now());
            TooOften(wait.as_secs().saturating_add(1))
        })
    }

    /// Whether another can be told apart. Clearing looks at all that are kept, so it is done once a second at most.
    fn has_room(&self) -> bool {
        if self.limiter.len() < self.most {
            return true;
        }
        if let Ok(mut cleared) = self.clearing.try_lock() {
            let now = self.clock.now();
            let second = Duration::from_secs(1);
            let is_due = cleared.is_none_or(|at| Duration::from(now.duration_since(at)) >= second);
            if is_due {
                *cleared = Some(now);
                self.limiter.retain_recent();
                self.limiter.shrink_to_fit();
            }
        }
        self.limiter.len() < self.most
    }

    /// How many are kept.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.limiter.len()
    }
}

/// As whom an address is counted: whoever has one IPv6 address has a network of them.
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limit(at_once: u32, most: usize) -> (Limit<u32, FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let at_once = NonZeroU32::new(at_once).unwrap();
        (Limit::with_clock(at_once, Duration::from_secs(10), most, clock.clone()), clock)
    }

    #[test]
    fn so_often_at_once_and_once_more_after_a_while() {
        let (limit, clock) = limit(3, 100);
        for _ in 0..3 {
            assert_eq!(limit.take(1), Ok(()));
        }
        let TooOften(wait) = limit.take(1).unwrap_err();
        assert!((1..=11).contains(&wait), "{wait}");
        assert_eq!(limit.take(2), Ok(()), "others are not concerned");
        clock.advance(Duration::from_secs(10));
        assert_eq!(limit.take(1), Ok(()));
        assert!(limit.take(1).is_err());
    }

    #[test]
    fn a13_a_flood_of_strangers_is_not_remembered() {
        let (limit, clock) = limit(3, 100);
        let let_in = (0..100_000).filter(|who| limit.take(*who).is_ok()).count();
        assert!(limit.kept() <= 101, "{}", limit.kept());
        assert!(let_in <= 103, "strangers beyond the bound share one place: {let_in}");
        clock.advance(Duration::from_secs(60));
        assert_eq!(limit.take(7), Ok(()));
        assert!(limit.kept() <= 2, "who has done nothing for a while is forgotten: {}", limit.kept());
    }

    #[test]
    fn a_network_of_addresses_is_one() {
        let of = |address: &str| neighbourhood(address.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
