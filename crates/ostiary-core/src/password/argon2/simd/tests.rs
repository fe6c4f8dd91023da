use std::cell::RefCell;

use ::argon2::{Algorithm, Argon2, AssociatedData, Params, ParamsBuilder, Version};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};

use super::{Function, Workspace};

const ALGORITHMS: [Algorithm; 3] = [Algorithm::Argon2d, Algorithm::Argon2i, Algorithm::Argon2id];

fn function(algorithm: Algorithm, version: Version, memory: u32, passes: u32, lanes: u32) -> Function {
    Function { algorithm, version, params: Params::new(memory, passes, lanes, None).unwrap() }
}

/// What the default crate computes.
fn by_default(function: &Function, secret: &[u8], password: &[u8], salt: &[u8], length: usize) -> Vec<u8> {
    let Function { algorithm, version, params } = function.clone();
    let mut output = vec![0; length];
    let argon2 = Argon2::new_with_secret(secret, algorithm, version, params).unwrap();
    argon2.hash_password_into(password, salt, &mut output).unwrap();
    output
}

fn by_simd(
    workspace: &mut Workspace,
    function: &Function,
    secret: &[u8],
    password: &[u8],
    salt: &[u8],
    length: usize,
) -> Vec<u8> {
    let mut output = vec![0; length];
    let hasher = workspace.hasher(function, length).unwrap();
    hasher.hash_into_with_ad(password, salt, secret, function.params.data(), &mut output).unwrap();
    output
}

/// Any function whose memory is at most 1 MiB.
fn functions() -> impl Strategy<Value = Function> {
    let costs = (1..=4_u32).prop_flat_map(|lanes| (8 * lanes..=1024, 1..=4_u32, Just(lanes)));
    let versions = select(vec![Version::V0x10, Version::V0x13]);
    let data = vec(any::<u8>(), 0..=32);
    (select(ALGORITHMS.to_vec()), versions, costs, data).prop_map(
        |(algorithm, version, (memory, passes, lanes), data)| {
            let mut params = ParamsBuilder::new();
            params.m_cost(memory).t_cost(passes).p_cost(lanes).data(AssociatedData::new(&data).unwrap());
            Function { algorithm, version, params: params.build().unwrap() }
        },
    )
}

/// The memory is the same one for all of them, as it is in the hashing lane.
#[test]
fn of_random_inputs_and_parameters_comes_what_comes_of_the_default() {
    let workspace = RefCell::new(Workspace::default());
    let inputs = (
        functions(),
        vec(any::<u8>(), 0..=32),
        vec(any::<u8>(), 0..=256),
        vec(any::<u8>(), 8..=64),
        4..=64_usize,
    );
    let compare = |(function, secret, password, salt, length): (Function, Vec<u8>, Vec<u8>, Vec<u8>, _)| {
        let simd = by_simd(&mut workspace.borrow_mut(), &function, &secret, &password, &salt, length);
        prop_assert_eq!(simd, by_default(&function, &secret, &password, &salt, length));
        Ok(())
    };
    TestRunner::new(Config::with_cases(1000)).run(&inputs, compare).unwrap();
}

/// From 2 MiB on the memory is of another kind: mapped, and of huge pages where the system gives them.
#[test]
fn of_new_and_of_large_hashes_comes_what_comes_of_the_default() {
    let mut workspace = Workspace::default();
    let [_, _, id] = ALGORITHMS;
    for function in [
        Function::of_new(),
        function(id, Version::V0x13, 64 * 1024, 3, 4),
        function(id, Version::V0x10, 2048, 2, 1),
        Function::of_new(),
        function(Algorithm::Argon2i, Version::V0x13, 20_000, 1, 3),
    ] {
        for password in [&b"correct horse"[..], b"", &[0xff; 1024]] {
            let mut output = [0; 32];
            workspace.compute(&function, password, b"sixteen bytes ..", &mut output).unwrap();
            assert_eq!(output[..], by_default(&function, b"", password, b"sixteen bytes ..", 32));
        }
    }
}

/// The vectors of RFC 9106 §5.1, §5.2 and §5.3.
#[test]
fn the_vectors_of_the_rfc_hold() {
    const TAGS: [[u8; 32]; 3] = [
        [
            0x51, 0x2b, 0x39, 0x1b, 0x6f, 0x11, 0x62, 0x97, 0x53, 0x71, 0xd3, 0x09, 0x19, 0x73, 0x42, 0x94,
            0xf8, 0x68, 0xe3, 0xbe, 0x39, 0x84, 0xf3, 0xc1, 0xa1, 0x3a, 0x4d, 0xb9, 0xfa, 0xbe, 0x4a, 0xcb,
        ],
        [
            0xc8, 0x14, 0xd9, 0xd1, 0xdc, 0x7f, 0x37, 0xaa, 0x13, 0xf0, 0xd7, 0x7f, 0x24, 0x94, 0xbd, 0xa1,
            0xc8, 0xde, 0x6b, 0x01, 0x6d, 0xd3, 0x88, 0xd2, 0x99, 0x52, 0xa4, 0xc4, 0x67, 0x2b, 0x6c, 0xe8,
        ],
        [
            0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b, 0x53, 0xc9,
            0xd0, 0x1e, 0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9, 0x6b, 0x01, 0xe6, 0x59,
        ],
    ];
    for (algorithm, tag) in ALGORITHMS.into_iter().zip(TAGS) {
        let mut params = ParamsBuilder::new();
        params.m_cost(32).t_cost(3).p_cost(4).data(AssociatedData::new(&[4; 12]).unwrap());
        let function = Function { algorithm, version: Version::V0x13, params: params.build().unwrap() };
        let found = by_simd(&mut Workspace::default(), &function, &[3; 8], &[1; 32], &[2; 16], 32);
        assert_eq!(found, tag, "{algorithm}");
    }
}

#[test]
fn memory_is_kept_but_not_that_which_an_imported_hash_needed() {
    let mut workspace = Workspace::default();
    let mut kept_after = |function: &Function| {
        workspace.compute(function, b"correct horse", b"sixteen bytes ..", &mut [0; 32]).unwrap();
        workspace.kept()
    };
    let id = Algorithm::Argon2id;
    assert_eq!(kept_after(&function(id, Version::V0x13, 64 * 1024, 1, 1)), 64 * 1024);
    assert_eq!(kept_after(&Function::of_new()), super::super::Workspace::KEPT);
    assert_eq!(kept_after(&function(id, Version::V0x13, 64, 1, 1)), super::super::Workspace::KEPT);
}
