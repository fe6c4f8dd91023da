"""Verifies a token with PyJWT. Its arguments are the algorithm, the URL of the key set or the shared secret, and
the file of the token. It ends with 0 if the token is good, and with 3 if its signature is not."""

import pathlib
import sys

import jwt

algorithm, keys, file = sys.argv[1:]
token = pathlib.Path(file).read_text()
if not algorithm.startswith("HS"):
    keys = jwt.PyJWKClient(keys).get_signing_key_from_jwt(token)
try:
    jwt.decode(token, keys, algorithms=[algorithm])
except jwt.InvalidSignatureError:
    sys.exit(3)
