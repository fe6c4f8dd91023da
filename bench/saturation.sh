#!/usr/bin/env bash
# As many good logins as the server takes on 16 connections, in turns with as many hashes as the same cores
# compute by themselves: Argon2id, and bcrypt of cost 12.
#
#   bench/saturation.sh [--postgres] [--quick]
#
# Builds the release binary, uses a database of its own and free ports, and leaves nothing behind. Nothing else
# should run beside it. Prints figures with the goals beside, and asserts nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/build.sh
"$bench" saturation --server "$server" "$@"
