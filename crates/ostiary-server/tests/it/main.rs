//! Behaviour, through HTTP on the real router and a real store, or through the binary itself.

#![expect(clippy::unwrap_used, reason = "a test ends where it meets what it did not expect")]
#![expect(clippy::print_stdout, reason = "figures that were measured")]

mod adopted;
mod bad_tokens;
mod beside;
mod bodies;
mod canary;
mod claims;
mod client_addresses;
mod closed_forms;
mod command_line;
mod connections;
mod contract;
mod crash;
mod debug_output;
mod docs;
mod hostile;
mod http1_abuse;
mod http2_abuse;
mod introspection;
mod keys;
mod keys_under_load;
mod limits;
mod login;
mod me;
mod metrics;
mod nodes;
mod open_files;
mod operator;
mod outage;
mod password;
mod refresh;
mod revocations;
mod session_cache;
mod sessions;
mod slots;
mod slow_clients;
mod support;
