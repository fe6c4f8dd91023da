#!/usr/bin/env bash
# What Ostiary does, each work next to the most that the same machine can do of it, in turns: a table and plots.
#
#   bench/run.sh [--quick] [--peers] [--only WORK,...] [--results DIRECTORY]
#
#   --quick     fewer and shorter turns, nothing on ten times the data: for a first look
#   --peers     what others would pick instead, too, on the same work: needs npm and Python 3
#   --only      some works alone: login, simd, bcrypt, register, limiter, refresh, me, introspect, verification,
#               footprint, flood, tenfold
#   --results   where the table and the plots go (bench/results)
#
# Builds the release binaries, uses databases of its own and free ports, and leaves nothing behind but the
# results. Nothing else should run beside it. bench/README.md says what the figures mean.
set -euo pipefail
cd "$(dirname "$0")/.."

peers=
only=
quick=
results=bench/results
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=--quick ;;
        --peers) peers=yes ;;
        --only) only=${2:?--only needs the names of works}; shift ;;
        --results) results=${2:?--results needs a directory}; shift ;;
        --help | -h) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit ;;
        *) echo "$0: what is $1? See --help." >&2; exit 2 ;;
    esac
    shift
done

missing() { echo "$1 is not here: $2" >&2; exit 1; }
[ -r /proc/cpuinfo ] || missing /proc "this needs Linux"
command -v cargo >/dev/null || missing cargo "see https://rustup.rs"
command -v redis-server >/dev/null || missing redis-server "apt-get install redis-server"
command -v psql >/dev/null || missing PostgreSQL "apt-get install postgresql"
# Debian has it among the server's programs.
compgen -G '/usr/lib/postgresql/*/bin/pgbench' >/dev/null || command -v pgbench >/dev/null ||
    missing pgbench "apt-get install postgresql postgresql-contrib"

. bench/build.sh
simd=
if [ -z "$only" ] || [[ ,$only, == *,simd,* ]]; then
    # In a directory of its own: with another feature, much of the server is another.
    target=${CARGO_TARGET_DIR:-target}/simd
    CARGO_TARGET_DIR=$target cargo build --profile dist --quiet --features argon2-simd
    simd=$target/dist/ostiary
fi
appendix=
if [ -n "$peers" ]; then
    appendix=$(mktemp)
    trap 'rm -f "$appendix"' EXIT
    printf '## What others would pick instead\n\n' >"$appendix"
    "$bench" peers --server "$server" ${simd:+--simd-server "$simd"} $quick | tee -a "$appendix"
fi
"$bench" run --server "$server" ${simd:+--simd-server "$simd"} $quick ${only:+--only "$only"} \
    ${appendix:+--append "$appendix"} --results "$results"
