//! Which place is tried next, and when: those that failed in a way that may pass get more turns, later ones after longer waits.

use std::time::{Duration, Instant};

use super::failure::{Failure, Kind};

/// How often and after which waits a place is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// The wait before the second attempt; each further one is twice as long.
    pub first_wait: Duration,
    /// Attempts at one place.
    pub attempts: u32,
    /// A server that asks for a longer wait is not tried again.
    pub longest_wait: Duration,
}

impl Default for Patience {
    /// Waits of 1, 2 and 4 seconds; up to a minute where a server asks for it.
    fn default() -> Self {
        Patience { first_wait: Duration::from_secs(1), attempts: 4, longest_wait: Duration::from_secs(60) }
    }
}

impl Patience {
    /// The wait before the attempt after `attempts` of them; `None` when there is none.
    fn wait(&self, attempts: u32, kind: &Kind) -> Option<Duration> {
        let Kind::Passing(asked) = kind else { return None };
        if attempts >= self.attempts {
            return None;
        }
        let own = self.first_wait.saturating_mul(1 << attempts.saturating_sub(1).min(16));
        Some(asked.unwrap_or_default().max(own)).filter(|wait| *wait <= self.longest_wait)
    }
}

/// The places that are still worth a turn.
pub(super) struct Turns<'a> {
    patience: &'a Patience,
    places: Vec<Mirror>,
}

struct Mirror {
    number: usize,
    attempts: u32,
    due: Instant,
}

impl<'a> Turns<'a> {
    /// All of so many places, now, in order.
    pub fn new(patience: &'a Patience, places: usize) -> Self {
        let now = Instant::now();
        Turns {
            patience,
            places: (0..places).map(|number| Mirror { number, attempts: 0, due: now }).collect(),
        }
    }

    /// The place whose turn is next, once its time has come. `waits` is told of a wait before it.
    pub fn next(&mut self, waits: impl FnOnce(Duration)) -> Option<usize> {
        let place = self.places.iter_mut().min_by_key(|place| place.due)?;
        let wait = place.due.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            waits(wait);
            std::thread::sleep(wait);
        }
        place.attempts += 1;
        Some(place.number)
    }

    /// Gives the place another turn, or none.
    pub fn failed(&mut self, number: usize, failure: &Failure) {
        let patience = self.patience;
        self.places.retain_mut(|place| {
            if place.number != number {
                return true;
            }
            match patience.wait(place.attempts, &failure.kind) {
                Some(wait) => {
                    place.due = Instant::now() + wait;
                    true
                }
                None => false,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_servers_may_ask_for_longer_ones() {
        let patience = Patience::default();
        let seconds = |attempts, asked: Option<u64>| {
            let kind = Kind::Passing(asked.map(Duration::from_secs));
            patience.wait(attempts, &kind).map(|wait| wait.as_secs())
        };
        assert_eq!([1, 2, 3, 4].map(|attempts| seconds(attempts, None)), [Some(1), Some(2), Some(4), None]);
        assert_eq!(seconds(1, Some(30)), Some(30));
        assert_eq!(seconds(2, Some(1)), Some(2));
        assert_eq!(seconds(1, Some(u64::MAX)), None, "it asks for longer than anybody waits");
        for kind in [Kind::Unreachable, Kind::NotThere, Kind::OtherBytes] {
            assert_eq!(patience.wait(1, &kind), None);
        }
    }

    #[test]
    fn a_place_that_does_not_answer_is_no_reason_to_wait_for_the_next() {
        let patience = Patience { first_wait: Duration::from_millis(20), ..Patience::default() };
        let mut turns = Turns::new(&patience, 3);
        let busy = Failure::new(Kind::Passing(None), "busy");
        let never = |_| panic!("no wait yet");
        assert_eq!(turns.next(never), Some(0));
        turns.failed(0, &busy);
        assert_eq!(turns.next(never), Some(1));
        turns.failed(1, &Failure::new(Kind::NotThere, "gone"));
        assert_eq!(turns.next(never), Some(2));
        turns.failed(2, &busy);
        let order: Vec<usize> = std::iter::from_fn(|| {
            let turn = turns.next(|_| {})?;
            turns.failed(turn, &busy);
            Some(turn)
        })
        .collect();
        assert_eq!((order.len(), order.contains(&1), order[0]), (6, false, 0), "{order:?}");
    }
}
