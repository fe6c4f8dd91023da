#!/usr/bin/env bash
# Whether the time of a refused login tells why it was refused: tries at unknown users and at users who are
# there (with a wrong password, disabled, without a password, with a locked one) take turns in random order.
# Prints medians, their ratios, and how well the best threshold on a time tells one kind from the other: the
# area under the ROC curve (AUC), 0.5 where it tells nothing and 1 where it tells all.
#
#   bench/timing.sh [TRIES]     (400 of each kind, unless told otherwise)
#
# Builds the release binary, uses a temporary directory and a free port, and leaves nothing behind.
# Needs Python 3 and Linux. Prints figures and asserts nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --quiet
binary=${CARGO_TARGET_DIR:-target}/release/ostiary
directory=$(mktemp -d)
port=$((20000 + RANDOM % 10000))
HOST=127.0.0.1 PORT=$port DATA_DIR=$directory/data ENV_FILE=/dev/null LOG_LEVEL=warn RATE_LIMITS=off "$binary" &
server=$!
trap 'kill "$server" 2>/dev/null; wait 2>/dev/null; rm -rf "$directory"' EXIT

python3 bench/timing.py "$port" "$directory/data/ostiary.db" "${1:-400}"
