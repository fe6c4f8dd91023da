//! `./scripts/fuzz.sh 60 env_file`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ostiary_fuzz::env_file(data));
