#!/usr/bin/env bash
# FastAPI Users: start.sh version | install | migrate | serve   (PORT, DATABASE_URL)
set -euo pipefail
peer=fastapi-users
. "$(dirname "$0")/../common.sh"

case $1 in
version)
    echo "FastAPI Users $(pinned fastapi-users), pwdlib $(pinned pwdlib), uvicorn $(pinned uvicorn), $(python3 --version)"
    ;;
install) install_python ;;
migrate) python "$here/app.py" ;;
serve) serve_python ;;
esac
