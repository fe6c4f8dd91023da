//! The script in Redis does the arithmetic of the limiter in memory.

use std::time::Duration;

use jiff::Timestamp;
use ostiary_core::limit::{Admission, Budget, BudgetKey, Limiter, Rule, Settlement};
use ostiary_server::limiter::{memory::MemoryLimiter, redis::RedisLimiter};
use proptest::{
    collection::vec, prelude::*, sample::subsequence, strategy::ValueTree, test_runner::TestRunner,
};

use super::*;

/// What is done to some of the budgets.
#[derive(Debug, Clone)]
enum Step {
    Admit(Vec<usize>),
    Settle(Vec<usize>, Settlement),
    /// So many seconds pass; the clock may step back.
    Pass(i64),
    /// Failures of the first budget until now are forgiven.
    Forgive,
}

fn step() -> impl Strategy<Value = Step> {
    let some = || subsequence(vec![0, 1, 2, 3], 1..=4);
    let settlement = prop_oneof![
        4 => Just(Settlement::Failed),
        1 => Just(Settlement::Succeeded),
        1 => Just(Settlement::Withdrawn),
        1 => Just(Settlement::Reset),
    ];
    prop_oneof![
        6 => some().prop_map(Step::Admit),
        5 => (some(), settlement).prop_map(|(budgets, settlement)| Step::Settle(budgets, settlement)),
        3 => prop_oneof![0_i64..3, 3_i64..20, 900_i64..100_000, -10_i64..0].prop_map(Step::Pass),
        1 => Just(Step::Forgive),
    ]
}

fn budgets(sequence: u8) -> [Budget; 4] {
    let consecutive = |free| Rule::Consecutive {
        free,
        max_delay: SignedDuration::from_mins(15),
        kept: SignedDuration::from_hours(24),
    };
    let rate = |burst, seconds| Rule::Rate { burst, interval: SignedDuration::from_secs(seconds) };
    let rules = [consecutive(5), consecutive(1), rate(3, 6), rate(20, 60)];
    let mut number = 0;
    rules.map(|rule| {
        number += 1;
        let key = BudgetKey::from_bytes([sequence, number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        Budget { key, rule, forgiven_at: None }
    })
}

#[tokio::test]
async fn redis_and_memory_say_the_same_of_any_sequence() {
    let redis = Redis::start();
    let client = redis::Client::open(format!("redis://{}:{}", redis.host(), redis.port())).unwrap();
    let in_redis = RedisLimiter::new(client, Duration::from_secs(10), MemoryLimiter::default()).unwrap();
    let mut runner = TestRunner::default();
    let (mut admitted, mut pending, mut refused) = (0, 0, 0);
    for sequence in 0..100 {
        let steps = vec(step(), 1..60).new_tree(&mut runner).unwrap().current();
        let in_memory = MemoryLimiter::default();
        let mut all = budgets(sequence);
        let mut now = Timestamp::from_second(1_800_000_000).unwrap();
        for (number, step) in steps.iter().enumerate() {
            let chosen = |numbers: &[usize]| numbers.iter().map(|number| all[*number]).collect::<Vec<_>>();
            match step {
                Step::Admit(numbers) => {
                    let said = in_memory.admit(&chosen(numbers), now).await;
                    let by_redis = in_redis.admit(&chosen(numbers), now).await;
                    assert_eq!(by_redis, said, "step {number} of {steps:?}");
                    match said {
                        Admission::Admitted { .. } => admitted += 1,
                        Admission::Pending => pending += 1,
                        Admission::Refused(_) => refused += 1,
                    }
                }
                Step::Settle(numbers, settlement) => {
                    in_memory.settle(&chosen(numbers), *settlement, now).await;
                    in_redis.settle(&chosen(numbers), *settlement, now).await;
                }
                Step::Pass(count) => now = now.saturating_add(SignedDuration::from_secs(*count)).unwrap(),
                Step::Forgive => all[0].forgiven_at = Some(now),
            }
        }
    }
    println!("{admitted} admitted, {pending} pending, {refused} refused, the same in Redis and in memory");
    assert!(admitted > 100 && pending > 20 && refused > 20);
}
