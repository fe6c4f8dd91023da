#!/usr/bin/env bash
# Tries the verifier that docs/verifying.md shows: a token is good, and refused within two seconds after its
# session has ended.
#
#   scripts/verifying_page.sh
#
# Builds the binary, uses a temporary directory and a free port, and leaves nothing behind. Needs bash 5, curl,
# python3 with venv, and a way to the Python Package Index for PyJWT.
set -euo pipefail
cd "$(dirname "$0")/.."
limit=2000 # milliseconds

cargo build --workspace --quiet
binary=${CARGO_TARGET_DIR:-target}/debug/ostiary
directory=$(mktemp -d)
url=
server=
verifier_PID=
trap 'kill $server $verifier_PID 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$directory"' EXIT

fail() {
    printf 'scripts/verifying_page.sh: %s\n' "$*" >&2
    exit 1
}
post() {
    curl -sS --fail-with-body -H 'content-type: application/json' -d "$2" "$url/api/v1/auth/$1"
}
# member NAME: the text that the JSON on the standard input has under this name.
member() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

# The block of Python in which the verifier is.
awk '/^```/ { if (block ~ /class Verifier/) printf "%s", block; block = ""; inside = /^```python/; next }
     inside { block = block $0 "\n" }' docs/verifying.md >"$directory/verifier.py"
[ -s "$directory/verifier.py" ] || fail "docs/verifying.md has no block with a class Verifier"
python3 -m venv "$directory/venv" || fail "python3 has no venv (on Debian, as root: apt-get install python3-venv)"
"$directory/venv/bin/pip" install --quiet --disable-pip-version-check 'pyjwt[crypto]'

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
# Nothing counts that is set elsewhere.
ostiary=(env -i HOST=127.0.0.1 PORT="$port" DATA_DIR="$directory/data" ENV_FILE=/dev/null LOG_LEVEL=warn "$binary")
"${ostiary[@]}" serve 2>"$directory/log" &
server=$!
for _ in {1..100}; do
    curl -sf "$url/readyz" >/dev/null && break
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
done
curl -sf "$url/readyz" >/dev/null || fail "the server did not start: $(cat "$directory/log")"
credential=$("${ostiary[@]}" service create billing 2>/dev/null)
tokens=$(post register '{"second_login": "anna", "phone": "+79991234567", "password": "correct horse",
                         "group_names": ["customer"]}')
access=$(member access_token <<<"$tokens")

coproc verifier { exec "$directory/venv/bin/python" "$directory/verifier.py" "$url" billing "$credential"; }
# Gives the token to the verifier, and its words to $answer.
verify() {
    echo "$access" >&"${verifier[1]}"
    read -r -t 10 answer <&"${verifier[0]}" || fail "the verifier does not answer"
}

verify
[[ $answer == good* ]] || fail "a token of an open session is $answer"
post logout "{\"refresh_token\": \"$(member refresh_token <<<"$tokens")\"}"
since=${EPOCHREALTIME/[.,]/}
while verify; [[ $answer == good* ]]; do
    took=$(((${EPOCHREALTIME/[.,]/} - since) / 1000))
    ((took <= limit)) || fail "a token is good $took ms after the logout"
    sleep 0.05
done
took=$(((${EPOCHREALTIME/[.,]/} - since) / 1000))
[[ $answer == "refused: its session was revoked" ]] || fail "after the logout the token is $answer"
echo "The token was good, and refused $took ms after the logout."
