#!/usr/bin/env bash
# The stack of the replaced service: start.sh version | install | migrate | serve   (PORT, DATABASE_URL)
set -euo pipefail
peer=replaced
. "$(dirname "$0")/../common.sh"

case $1 in
version)
    echo "FastAPI $(pinned fastapi), asyncpg $(pinned asyncpg), passlib $(pinned passlib), PyJWT $(pinned PyJWT)," \
        "uvicorn $(pinned uvicorn), $(python3 --version)"
    ;;
install) install_python ;;
migrate) python "$here/app.py" ;;
serve) serve_python ;;
esac
