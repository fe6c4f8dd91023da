//! `./scripts/fuzz.sh 60 client_address`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ostiary_fuzz::client_address(data));
