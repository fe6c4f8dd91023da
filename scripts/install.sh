#!/usr/bin/env bash
# Installs what building and testing need, where it can, and says what is missing where it cannot.
set -euo pipefail

fail() {
    printf 'scripts/install.sh: %s\n' "$*" >&2
    exit 1
}

# The C compiler builds SQLite and the cryptography.
packages=()
command -v cc >/dev/null || packages+=(gcc libc6-dev)
command -v make >/dev/null || packages+=(make)
if [ ${#packages[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "scripts/install.sh: installing ${packages[*]}"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}"
    else
        fail "missing: ${packages[*]} (on Debian, as root: apt-get install ${packages[*]})"
    fi
fi
command -v cargo >/dev/null || fail "missing: cargo; install Rust 1.95 or later, see https://rustup.rs"
