#!/usr/bin/env bash
# What users notice of a flood of wrong logins: 64 connections with 500 a second, beside 50 refreshes and 5 good
# logins a second; before, during and after. Limits on requests are off: this is of the hashing lane.
#
#   bench/flood.sh [--bcrypt] [--postgres] [--quick]
#
# Builds the release binary, uses a database of its own and free ports, and leaves nothing behind. The figures
# are of two cores; `taskset -c 0,1 bench/flood.sh` takes two of more. Needs Linux (/proc), and --postgres needs
# PostgreSQL's programs. Prints figures with the goals beside, and asserts nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/build.sh
"$bench" flood --server "$server" "$@"
