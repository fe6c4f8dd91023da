use proptest::prelude::*;

use super::*;
use crate::password::bcrypt::{Hash, TOGETHER, compute as compute_all, compute_alone};

/// The first words of pi after the point, by Machin's formula, in fixed point with 64 bits to spare.
fn pi(words: usize) -> Vec<u32> {
    let length = words + 3;
    let divide = |number: &mut [u32], divisor: u64| {
        let mut rest = 0;
        for word in number {
            let value = rest << 32 | u64::from(*word);
            *word = u32::try_from(value / divisor).unwrap();
            rest = value % divisor;
        }
    };
    let add = |sum: &mut [u32], term: &[u32], is_negative: bool| {
        let mut carry = i64::from(is_negative);
        for (word, added) in sum.iter_mut().zip(term).rev() {
            let added = if is_negative { !*added } else { *added };
            carry += i64::from(*word) + i64::from(added);
            *word = u32::try_from(carry & 0xffff_ffff).unwrap();
            carry >>= 32;
        }
    };
    // The whole part is the first word.
    let mut sum = vec![0; length];
    for (factor, inverse, is_negative) in [(16, 5, false), (4, 239, true)] {
        let mut power = vec![0; length];
        power[0] = factor * inverse;
        let mut term = 0_u64;
        while power.iter().any(|word| *word != 0) {
            divide(&mut power, u64::from(inverse * inverse));
            let mut summand = power.clone();
            divide(&mut summand, 2 * term + 1);
            add(&mut sum, &summand, is_negative ^ (term % 2 == 1));
            term += 1;
        }
    }
    assert_eq!(sum[0], 3);
    sum[1..=words].to_vec()
}

#[test]
fn the_tables_are_the_digits_of_pi() {
    assert_eq!(INITIAL.as_slice(), pi(INITIAL.len()));
}

fn computation() -> impl Strategy<Value = Computation> {
    let password = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..=80),
        1 => prop::collection::vec(any::<u8>(), 70..=74),
        1 => "\\PC{0,40}".prop_map(String::into_bytes),
        1 => prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..=10),
    ];
    (any::<[u8; 16]>(), password).prop_map(|(salt, password)| Computation::new(4, salt, &password))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn computed_together_or_by_the_crate_alone_the_outputs_are_equal(
        cost in 4_u32..=6,
        mut computations in prop::collection::vec(computation(), 0..=TOGETHER + 2),
    ) {
        for computation in &mut computations {
            computation.cost = cost;
        }
        let together = compute_all(&computations.iter().collect::<Vec<_>>());
        let alone: Vec<_> = computations.iter().map(compute_alone).collect();
        prop_assert_eq!(together, alone);
    }
}

#[test]
#[should_panic(expected = "lanes go in step")]
fn different_costs_are_not_computed_together() {
    let [four, five] = [4, 5].map(|cost| Computation::new(cost, [0; 16], b"correct horse"));
    let _outputs = compute([&four, &five]);
}

#[test]
fn known_vectors_come_out_together() {
    // jBCrypt's, of cost 6, and crypt_blowfish's, of cost 5.
    for vectors in [
        [
            ("", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
            ("a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
            ("abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
        ],
        [
            ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
            ("U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
            ("U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
        ],
    ] {
        let stored = vectors.map(|(_, stored)| stored.parse::<Hash>().unwrap());
        let computations: Vec<_> = (vectors.iter().zip(&stored))
            .map(|((password, _), hash)| Computation::new(hash.cost, hash.salt, password.as_bytes()))
            .collect();
        let outputs = compute_all(&computations.iter().collect::<Vec<_>>());
        for (lane, (password, _)) in vectors.iter().enumerate() {
            assert!(stored[lane].is_one_of(&outputs[lane..=lane]), "{password}");
            assert!(!stored[lane].is_one_of(&outputs[(lane + 1) % 3..=(lane + 1) % 3]), "{password}");
        }
    }
}

/// Prints what a core gains: `cargo test --release -p ostiary-core -- --ignored --nocapture a_core_gains`.
#[test]
#[ignore = "prints a figure"]
#[expect(clippy::print_stdout, reason = "it is what the test is for")]
fn what_a_core_gains_by_computing_together() {
    let computations: Vec<_> = (0..4).map(|n| Computation::new(8, [n; 16], b"correct horse")).collect();
    let least = |compute: &dyn Fn() -> Vec<Output>| {
        let times = (0..50).map(|_| {
            let start = std::time::Instant::now();
            std::hint::black_box(compute());
            start.elapsed()
        });
        times.min().unwrap_or_default().as_secs_f64()
    };
    let alone = least(&|| vec![compute_alone(&computations[0])]);
    for together in 1..=4_u8 {
        let batch: Vec<_> = computations.iter().take(together.into()).collect();
        let took = least(&|| compute_all(&batch));
        println!(
            "{together} together: {:.1} ms; one by the crate: {:.1} ms; {:.2} times the computations",
            took * 1e3,
            alone * 1e3,
            f64::from(together) * alone / took
        );
    }
}
