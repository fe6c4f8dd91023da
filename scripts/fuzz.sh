#!/usr/bin/env bash
# Looks for inputs that break what must hold whatever strangers send (fuzz/src), beginning with those that are kept
# in fuzz/corpus.
#
#   ./scripts/fuzz.sh                     every target for a minute
#   ./scripts/fuzz.sh 600 body contact    these two for ten minutes each
#
# Installs cargo-fuzz into the target directory, and a C++ compiler where it can. The first build takes many minutes:
# all libraries are built again, so that they tell which of their branches an input takes; the compiler is the usual
# one, with its unstable options allowed. What is found on the way is kept in the target directory, and gone on with
# the next time. Ends with 0 if nothing broke.
#
# A minute finds what is easily found: give an hour to what was changed. What reaches more than the kept inputs do
# is copied to them, as little of it as will do, by
#
#   target/fuzz/x86_64-unknown-linux-gnu/release/body -merge=1 -set_cover_merge=1 fuzz/corpus/body target/fuzz/found/body
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=60
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    seconds=$1
    shift
fi
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(basename -s .rs -a fuzz/targets/*.rs)
for target in "${targets[@]}"; do
    [ -f "fuzz/targets/$target.rs" ] || { echo "scripts/fuzz.sh: there is no target $target" >&2; exit 2; }
done

./scripts/install.sh
if ! command -v c++ >/dev/null; then
    [ "$(id -u)" = 0 ] || { echo "scripts/fuzz.sh: missing: c++ (on Debian, as root: apt-get install g++)" >&2; exit 1; }
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends g++
fi
directory=$(realpath -m "${CARGO_TARGET_DIR:-target}")
[ -x "$directory/tools/bin/cargo-fuzz" ] || cargo install --quiet --locked --root "$directory/tools" cargo-fuzz@0.13.2

# Without `--cfg fuzzing`, by which some libraries leave out checks, and build what nobody runs.
options=(--fuzz-dir fuzz --target-dir "$directory/fuzz" --features libfuzzer --no-cfg-fuzzing)
cargo_fuzz() { RUSTC_BOOTSTRAP=1 "$directory/tools/bin/cargo-fuzz" fuzz "$@"; }

broken=0
for target in "${targets[@]}"; do
    found=$directory/fuzz/found/$target
    artifacts=$directory/fuzz/artifacts/$target
    log=$directory/fuzz/$target.log
    mkdir -p "$found" "$artifacts"
    cargo_fuzz build "${options[@]}" "$target"
    dictionary=fuzz/dictionaries/$target.dict
    limits=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1)
    [ ! -f "$dictionary" ] || limits+=(-dict="$dictionary")
    if cargo_fuzz run "${options[@]}" "$target" "$found" "fuzz/corpus/$target" -- \
        "${limits[@]}" -artifact_prefix="$artifacts/" 2>"$log"; then
        tried=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        echo "$target: ok, $tried inputs tried in $seconds s"
    else
        broken=1
        input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
        echo "$target: BROKEN, see $log"
        [ -z "$input" ] || cat <<END
    by the input $input
    To replay it, now and ever after, give it a name that says what it is:
    cp $input fuzz/corpus/$target/NAME && cargo test --workspace --test corpus
END
    fi
done
exit $broken
