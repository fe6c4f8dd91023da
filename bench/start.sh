#!/usr/bin/env bash
# Figures of a server at rest: from the start to the first 200 on an existing database, resident
# memory, size of the binary; and whether an unknown login takes as long as a wrong password.
#
#   bench/start.sh [tries]     (200 interleaved tries of each kind, unless told otherwise)
#
# Builds the release binary, uses a temporary directory and a free port, and leaves nothing behind.
# Needs bash 5 and Linux (/proc). Prints figures and asserts nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
tries=${1:-200}
starts=11

cargo build --release --quiet
binary=${CARGO_TARGET_DIR:-target}/release/ostiary
directory=$(mktemp -d)
port=$((20000 + RANDOM % 10000))
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; wait 2>/dev/null; rm -rf "$directory"' EXIT

start() {
    HOST=127.0.0.1 PORT=$port DATA_DIR=$directory/data ENV_FILE=/dev/null LOG_LEVEL=warn RATE_LIMITS=off "$binary" &
    server=$!
}
stop() {
    kill "$server"
    wait "$server" || true
    server=
}
# Microseconds since 1970, without a process.
now() { printf -v "$1" '%s' "${EPOCHREALTIME/[.,]/}"; }

# request METHOD PATH [BODY]: the status of the answer, in $status; fails if nobody listens.
request() {
    exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
    printf '%s %s HTTP/1.1\r\nhost: bench\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s' \
        "$1" "$2" "${#3}" "$3" >&3
    local version rest
    read -r version status rest <&3 || return 1
    cat <&3 >/dev/null
    exec 3>&-
}
until_200() {
    until request GET /readyz "" 2>/dev/null && [ "$status" = 200 ]; do :; done
}
median() { sort -n | awk '{ a[NR] = $1 } END { print (a[int((NR + 1) / 2)] + a[int(NR / 2) + 1]) / 2 }'; }

start
until_200
request POST /api/v1/auth/register '{"second_login":"anna","phone":"+79991234567","password":"correct horse","group_names":["customer"]}'
[ "$status" = 200 ] || { echo "registration answered $status" >&2; exit 1; }
stop

for _ in $(seq $starts); do
    now begin
    start
    until_200
    now end
    echo $((end - begin))
    stop
done >"$directory/starts"

start
until_200
resident=$(awk '/^VmRSS/ { print $2 }' "/proc/$server/status")

login() {
    now begin
    request POST /api/v1/auth/login "$1"
    now end
    [ "$status" = 401 ] || { echo "login answered $status" >&2; exit 1; }
    echo $((end - begin))
}
for _ in $(seq 5); do login '{"login":"anna","password":"wrong horse"}' >/dev/null; done
for _ in $(seq "$tries"); do
    login '{"login":"nobody","password":"wrong horse"}' >>"$directory/unknown"
    login '{"login":"anna","password":"wrong horse"}' >>"$directory/wrong"
done
after=$(awk '/^VmRSS/ { print $2 }' "/proc/$server/status")

unknown=$(median <"$directory/unknown")
wrong=$(median <"$directory/wrong")
awk -v s="$(median <"$directory/starts")" -v lo="$(sort -n "$directory/starts" | head -n 1)" \
    -v hi="$(sort -n "$directory/starts" | tail -n 1)" -v n=$starts -v r="$resident" -v a="$after" \
    -v b="$(stat -c %s "$binary")" -v u="$unknown" -v w="$wrong" -v t="$tries" 'BEGIN {
    printf "start to first 200, existing database    %.1f ms (median of %d; %.1f to %.1f)\n", s / 1000, n, lo / 1000, hi / 1000
    printf "resident memory at rest                  %.1f MiB\n", r / 1024
    printf "resident memory after %3d logins         %.1f MiB\n", 2 * t, a / 1024
    printf "release binary                           %.1f MB\n", b / 1e6
    printf "login, unknown user                      %.2f ms (median of %d)\n", u / 1000, t
    printf "login, wrong password                    %.2f ms (median of %d)\n", w / 1000, t
    printf "unknown / wrong                          %.3f\n", u / w
}'
