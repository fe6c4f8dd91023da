#!/usr/bin/env bash
# All tests. Needs nothing running; installs what is missing where it can, and says what is missing
# where it cannot.
#
#   ./scripts/test.sh            everything
#   ./scripts/test.sh refresh    the tests with `refresh` in their name
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    printf 'scripts/test.sh: %s\n' "$*" >&2
    exit 1
}

# The C compiler builds SQLite and the cryptography.
if ! command -v cc >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "scripts/test.sh: installing a C compiler"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends gcc libc6-dev make
    else
        fail "there is no C compiler: install one (on Debian: apt-get install gcc libc6-dev make)"
    fi
fi
command -v cargo >/dev/null || fail "there is no cargo: install Rust 1.95 or later, see https://rustup.rs"

cargo test --workspace --doc --quiet
if command -v cargo-nextest >/dev/null; then
    cargo nextest run --workspace --no-fail-fast --status-level slow "$@"
else
    cargo test --workspace --no-fail-fast --all-targets -- "$@"
fi
