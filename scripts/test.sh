#!/usr/bin/env bash
# All tests. Needs nothing running; installs what is missing where it can, and says what is missing
# where it cannot.
#
#   ./scripts/test.sh            everything
#   ./scripts/test.sh refresh    the tests with `refresh` in their name
set -euo pipefail
cd "$(dirname "$0")/.."

./scripts/install.sh
cargo test --workspace --doc --quiet
if command -v cargo-nextest >/dev/null; then
    cargo nextest run --workspace --no-fail-fast --status-level slow "$@"
else
    cargo test --workspace --no-fail-fast --lib --bins --tests --examples -- "$@"
fi
