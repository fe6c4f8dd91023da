"""Times refused logins of several kinds, in random order, and says what the times tell. See timing.sh."""

import http.client
import json
import random
import sqlite3
import statistics
import sys
import time

PORT, DATABASE, TRIES = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
USERS = 20
PASSWORD = "correct horse"

connection = None


def post(path, body):
    """The status of the answer, and how long it took in milliseconds."""
    global connection
    if connection is None:
        connection = http.client.HTTPConnection("127.0.0.1", PORT)
        connection.connect()
    begin = time.perf_counter()
    connection.request("POST", "/api/v1/auth/" + path, json.dumps(body), {"content-type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return answer.status, (time.perf_counter() - begin) * 1000


def wait_until_ready():
    for _ in range(200):
        try:
            probe = http.client.HTTPConnection("127.0.0.1", PORT, timeout=1)
            probe.request("GET", "/readyz")
            if probe.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit("the server does not start")


def register(kind, number):
    body = {
        "second_login": f"{kind}-{number}",
        "phone": f"+7999{KINDS.index(kind)}{number:06}",
        "email": f"{kind}-{number}@example.com",
        "password": PASSWORD,
        "group_names": ["customer"],
    }
    status, _ = post("register", body)
    assert status == 200, status


def auc(one, other):
    """The probability that a time of one kind is longer than a time of the other; never below a half."""
    ordered = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    ranks = sum(rank for rank, (_, kind) in enumerate(ordered, 1) if kind == 0)
    area = (ranks - len(one) * (len(one) + 1) / 2) / (len(one) * len(other))
    return max(area, 1 - area)


KINDS = ["unknown", "wrong", "disabled", "passwordless", "locked"]

wait_until_ready()
for kind in KINDS[1:]:
    for number in range(USERS):
        register(kind, number)
with sqlite3.connect(DATABASE) as database:
    of = "id in (select user_id from contacts where value like '{}-%@example.com')".format
    database.execute("update users set active = 0 where " + of("disabled"))
    database.execute("update users set password_hash = null where " + of("passwordless"))
    database.execute(
        "insert into password_locks (user_id, locked_at) select id, 1 from users where " + of("locked")
    )

times = {kind: [] for kind in KINDS}
for round in range(TRIES + 10):
    for kind in random.sample(KINDS, len(KINDS)):
        # The right password where even that is refused: it is the dearest.
        password = "wrong horse" if kind == "wrong" else PASSWORD
        status, took = post("login", {"login": f"{kind}-{random.randrange(USERS)}", "password": password})
        assert status == 401, (kind, status)
        if round >= 10:
            times[kind].append(took)

unknown = times["unknown"]
print(f"{TRIES} tries of each kind, in random order")
print(f"{'':14}{'median':>10}{'/ unknown':>12}{'AUC':>8}")
for kind in KINDS:
    median = statistics.median(times[kind])
    ratio = median / statistics.median(unknown)
    print(f"{kind:14}{median:>7.2f} ms{ratio:>12.3f}{auc(times[kind], unknown):>8.3f}")
print("goals: medians within 5 %, AUC at most 0.6")
