"""Has a server issue an access token. Its arguments are the server's URL and a directory, into which it writes
`token`, `changed` (the same for another user, with the signature as it was) and `jwks.json`."""

import base64
import json
import pathlib
import sys
import urllib.request

service, directory = sys.argv[1], pathlib.Path(sys.argv[2])
registration = {
    "second_login": "anna",
    "phone": "+79991234567",
    "password": "correct horse",
    "group_names": ["customer"],
}


def ask(path, body=None):
    data = body and json.dumps(body).encode()
    request = urllib.request.Request(service + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def for_another_user(token):
    header, claims, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(claims + "=="))
    claims["sub"] = "00000000-0000-7000-8000-000000000000"
    claims = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{header}.{claims}.{signature}"


token = ask("/api/v1/auth/register", registration)["access_token"]
(directory / "token").write_text(token)
(directory / "changed").write_text(for_another_user(token))
(directory / "jwks.json").write_text(json.dumps(ask("/.well-known/jwks.json")))
