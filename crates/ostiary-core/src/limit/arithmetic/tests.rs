use std::time::Duration;

use super::*;
use crate::limit::BudgetKey;

fn consecutive() -> Budget {
    Budget {
        key: BudgetKey::from_bytes([0; 16]),
        rule: Rule::Consecutive {
            free: 5,
            max_delay: SignedDuration::from_mins(15),
            kept: SignedDuration::from_hours(24),
        },
        forgiven_at: None,
    }
}

fn rate() -> Budget {
    let rule = Rule::Rate { burst: 3, interval: SignedDuration::from_secs(6) };
    Budget { rule, ..consecutive() }
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + milliseconds).unwrap()
}

/// A budget that is spent guess by guess.
struct Count(Budget, Option<Spent>);

impl Count {
    fn admit(&mut self, now: i64) -> Judgement {
        let judgement = self.0.judge(self.1, at(now));
        if let Judgement::Room(spent) = judgement {
            self.1 = Some(spent);
        }
        judgement
    }

    fn settle(&mut self, settlement: Settlement, now: i64) {
        self.1 = self.0.settle(self.1, settlement, at(now));
    }

    fn fail(&mut self, now: i64) {
        assert!(matches!(self.admit(now), Judgement::Room(_)), "at {now}");
        self.settle(Settlement::Failed, now);
    }
}

/// The documented table: five at once, then 1 s, 2 s, 4 s, ... 15 minutes.
#[test]
fn delays_double_after_the_free_failures_up_to_the_longest() {
    let mut count = Count(consecutive(), None);
    let mut now = 0;
    for _ in 0..5 {
        count.fail(now);
    }
    for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900] {
        assert_eq!(count.admit(now), Judgement::Refused(expected * 1000));
        assert_eq!(count.admit(now + expected * 1000 - 1), Judgement::Refused(1));
        now += expected * 1000;
        count.fail(now);
    }
    assert_eq!(count.0.failures(count.1.unwrap()), 18);
}

#[test]
fn guesses_at_once_get_no_more_than_the_budget_and_the_others_wait_for_what_comes_of_them() {
    let mut count = Count(consecutive(), None);
    let admitted = (0..64).filter(|_| matches!(count.admit(0), Judgement::Room(_))).count();
    assert_eq!(admitted, 5);
    assert_eq!(count.admit(0), Judgement::Pending);
    for _ in 0..5 {
        count.settle(Settlement::Failed, 20);
    }
    assert_eq!(count.admit(20), Judgement::Refused(1000));
}

#[test]
fn a_success_ends_the_failures_but_not_the_guesses_under_way() {
    let mut count = Count(consecutive(), None);
    for _ in 0..4 {
        count.fail(0);
    }
    assert!(matches!(count.admit(0), Judgement::Room(_)));
    count.settle(Settlement::Succeeded, 1);
    assert_eq!(count.1, None);

    count.admit(0);
    count.admit(0);
    count.settle(Settlement::Succeeded, 1);
    assert_eq!(count.1.map(|spent| (spent.level, spent.pending)), Some((1, 1)));
    count.settle(Settlement::Failed, 2);
    assert_eq!(count.1.map(|spent| (spent.level, spent.pending)), Some((1, 0)));
    count.settle(Settlement::Reset, 3);
    assert_eq!(count.1, None);
}

#[test]
fn a_withdrawn_guess_leaves_nothing() {
    for mut count in [Count(consecutive(), None), Count(rate(), None)] {
        count.admit(0);
        count.settle(Settlement::Withdrawn, 1);
        assert_eq!(count.1, None);
    }
}

#[test]
fn a_guess_that_nobody_settled_counts_as_a_failure() {
    let mut count = Count(consecutive(), None);
    for _ in 0..7 {
        count.admit(0);
    }
    assert_eq!(
        count.admit(5_000),
        Judgement::Room(Spent { level: 6, pending: 6, at: at(5_000).as_millisecond() })
    );
    assert_eq!(
        count.admit(10_001),
        Judgement::Room(Spent { level: 7, pending: 1, at: at(10_001).as_millisecond() })
    );
}

#[test]
fn failures_are_forgotten_after_their_time_and_those_before_a_pardon_do_not_count() {
    let mut count = Count(consecutive(), None);
    for _ in 0..5 {
        count.fail(0);
    }
    assert_eq!(count.admit(0), Judgement::Refused(1000));
    let day = 24 * 60 * 60 * 1000;
    assert!(matches!(count.0.judge(count.1, at(day + 1)), Judgement::Room(Spent { level: 1, .. })));
    assert!(matches!(count.0.judge(count.1, at(day)), Judgement::Room(Spent { level: 6, .. })));
    count.0.forgiven_at = Some(at(1));
    assert!(matches!(count.admit(2), Judgement::Room(Spent { level: 1, .. })));
}

#[test]
fn a_rate_has_its_burst_and_then_one_each_interval() {
    let mut count = Count(rate(), None);
    for _ in 0..3 {
        count.fail(0);
    }
    assert_eq!(count.admit(0), Judgement::Refused(6000));
    assert_eq!(count.admit(5_999), Judgement::Refused(1));
    count.fail(6_000);
    assert_eq!(count.admit(6_000), Judgement::Refused(6000));
    // Rested, it has the whole burst again, and no more.
    for _ in 0..3 {
        count.fail(1_000_000);
    }
    assert_eq!(count.admit(1_000_000), Judgement::Refused(6000));
}

#[test]
fn a_success_gives_back_to_a_rate_what_it_took() {
    let mut count = Count(rate(), None);
    for _ in 0..100 {
        assert!(matches!(count.admit(0), Judgement::Room(_)));
        count.settle(Settlement::Succeeded, 0);
    }
    assert_eq!(count.1, None);
}

#[test]
fn a_clock_that_steps_back_delays_nobody_longer() {
    let mut count = Count(consecutive(), None);
    for _ in 0..5 {
        count.fail(3_600_000);
    }
    assert_eq!(count.admit(0), Judgement::Refused(1000));
}

#[test]
fn it_is_kept_until_it_means_nothing() {
    let mut count = Count(consecutive(), None);
    count.fail(0);
    let kept = Duration::from_hours(24).as_millis();
    assert_eq!(u128::try_from(count.0.kept_for(count.1.unwrap(), at(0))), Ok(kept));
    let mut count = Count(rate(), None);
    count.fail(0);
    assert_eq!(count.0.kept_for(count.1.unwrap(), at(0)), 6000);
}
