#!/usr/bin/env bash
# Installs what building and testing need, where it can, and says what is missing where it cannot.
set -euo pipefail

fail() {
    printf 'scripts/install.sh: %s\n' "$*" >&2
    exit 1
}

# Whether a program is there, in the path or in the further directories given.
has() {
    local program=$1 directory
    shift
    command -v "$program" >/dev/null && return
    for directory in "$@"; do
        [ -x "$directory/$program" ] && return
    done
    return 1
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"
}

# Debian starts a server as soon as it is installed, unless this program, which it asks first, says 101
# (https://www.debian.org/doc/debian-policy/ch-opersys.html#interfacing-with-init-systems). Who has one
# already keeps it.
forbid_starts() {
    local policy=/usr/sbin/policy-rc.d
    [ ! -e "$policy" ] || return 0
    trap "rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

# The C compiler builds SQLite and the cryptography; the tests start PostgreSQL, PgBouncer and Redis
# themselves. Python and Node.js verify tokens as other services do.
packages=()
has cc || packages+=(gcc libc6-dev)
has make || packages+=(make)
has flock || packages+=(util-linux)
has initdb /usr/lib/postgresql/*/bin || packages+=(postgresql)
has pgbouncer /usr/sbin || packages+=(pgbouncer)
has redis-server || packages+=(redis-server)
python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
has node || packages+=(nodejs)
has npm || packages+=(npm)
if [ ${#packages[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "scripts/install.sh: installing ${packages[*]}"
        apt-get update -qq
        forbid_starts
        # Debian's package would make and start a server that nothing here needs. Who has configured
        # that already keeps what they have.
        if [[ " ${packages[*]} " == *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
            apt_install postgresql-common
            sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' \
                /etc/postgresql-common/createcluster.conf
        fi
        apt_install "${packages[@]}"
        # Nor is anything of it to start with the machine.
        for service in pgbouncer redis-server; do
            [[ " ${packages[*]} " != *" $service "* ]] || update-rc.d "$service" disable
        done
    else
        fail "missing: ${packages[*]} (on Debian, as root: apt-get install ${packages[*]})"
    fi
fi
command -v cargo >/dev/null || fail "missing: cargo; install Rust 1.95 or later, see https://rustup.rs"
