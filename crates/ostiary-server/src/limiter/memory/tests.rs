use jiff::SignedDuration;
use ostiary_core::limit::Rule;

use super::*;

fn budget(number: u128) -> Budget {
    let rule = Rule::Consecutive {
        free: 5,
        max_delay: SignedDuration::from_mins(15),
        kept: SignedDuration::from_hours(24),
    };
    Budget { key: BudgetKey::from_bytes(number.to_be_bytes()), rule, forgiven_at: None }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

#[tokio::test]
async fn a_guess_is_counted_in_all_of_its_budgets_or_in_none() {
    let limiter = MemoryLimiter::default();
    for _ in 0..5 {
        limiter.admit(&[budget(1)], at(0)).await;
        limiter.settle(&[budget(1)], Settlement::Failed, at(0)).await;
    }
    for _ in 0..10 {
        let admission = limiter.admit(&[budget(2), budget(1)], at(0)).await;
        assert_eq!(admission, Admission::Refused(std::time::Duration::from_secs(1)));
    }
    assert_eq!(limiter.admit(&[budget(2)], at(0)).await, Admission::Admitted { failures: 1 });
}

/// Whoever names a million accounts neither fills the memory nor lets the failures at one of them be forgotten.
#[tokio::test]
async fn a_flood_of_names_is_bounded_and_what_failed_often_is_kept() {
    let limiter = MemoryLimiter::keeping(1_000);
    for _ in 0..3 {
        limiter.admit(&[budget(0)], at(0)).await;
        limiter.settle(&[budget(0)], Settlement::Failed, at(0)).await;
    }
    for number in 1..20_000 {
        limiter.admit(&[budget(number)], at(0)).await;
        limiter.settle(&[budget(number)], Settlement::Failed, at(0)).await;
        assert!(limiter.kept().len() <= 1_000);
    }
    assert_eq!(limiter.admit(&[budget(0)], at(0)).await, Admission::Admitted { failures: 4 });
    assert!(limiter.metrics.forgotten.get() > 18_000);
}

#[tokio::test]
async fn what_means_nothing_any_more_goes_first() {
    let limiter = MemoryLimiter::keeping(100);
    let day = 24 * 60 * 60;
    for number in 0..100 {
        limiter.admit(&[budget(number)], at(0)).await;
    }
    limiter.admit(&[budget(200)], at(day + 1)).await;
    assert_eq!(limiter.kept().len(), 1);
    assert_eq!(limiter.metrics.forgotten.get(), 0);
}

#[tokio::test]
async fn a_success_leaves_nothing() {
    let limiter = MemoryLimiter::default();
    limiter.admit(&[budget(1)], at(0)).await;
    limiter.settle(&[budget(1)], Settlement::Succeeded, at(0)).await;
    assert!(limiter.kept().is_empty());
    limiter.settle(&[budget(1)], Settlement::Failed, at(0)).await;
    assert!(limiter.kept().is_empty());
}
