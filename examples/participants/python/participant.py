"""A participant in Python: seats that are reserved, and given back when a saga turns back.

    AMENDS_SECRET_SEATS=whsec_… python3 participant.py PORT DATABASE

Standard library only. The barrier's row and the effect are one transaction: both are there, or neither.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import sqlite3
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SEATS = 10
PORT, DATABASE = int(sys.argv[1]), sys.argv[2]
SECRET = base64.b64decode(os.environ["AMENDS_SECRET_SEATS"].removeprefix("whsec_"))


def is_signed(headers, body):
    """Standard Webhooks: an HMAC over id, time and body; while a secret is replaced there are two of them."""
    sent_at = headers.get("webhook-timestamp", "")
    if not sent_at.isdecimal() or abs(time.time() - int(sent_at)) > 300:
        return False
    signed = f"{headers.get('webhook-id', '')}.{sent_at}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(SECRET, signed, "sha256")).decode()
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(expected.encode(), one.encode()) for one in given)


def refused(code, detail, status=422):
    """No, for good: nothing took place."""
    return status, json.dumps({"code": code, "detail": detail})


def reserve(db, call, body):
    try:
        wanted = json.loads(body)["seats"]
        if type(wanted) is not int or wanted < 1:
            raise ValueError
    except (ValueError, KeyError, TypeError):
        return refused("not_understood", "expected a number of seats")
    (taken,) = db.execute("SELECT coalesce(sum(seats), 0) FROM reservations").fetchone()
    if wanted > SEATS - taken:
        return refused("sold_out", f"{SEATS - taken} seats are left, {wanted} were wanted")
    db.execute("INSERT INTO reservations VALUES (?, ?)", (call, wanted))
    return 200, json.dumps({"reserved": wanted})


def act(db, call, body):
    """The action: the same key gets the first answer, and one that was undone is never carried out."""
    digest = hashlib.sha256(body).hexdigest()
    row = db.execute("SELECT status, hash, code, answer FROM barrier WHERE call = ?", (call,)).fetchone()
    if row is None:
        code, answer = reserve(db, call, body)
        status = "acted" if code == 200 else "refused"
        db.execute("INSERT INTO barrier VALUES (?, ?, ?, ?, ?)", (call, status, digest, code, answer))
        return code, answer
    status, known_digest, code, answer = row
    if status == "undone":
        return refused("undone", "this call was undone before it came", 409)
    if known_digest != digest:
        return refused("payload_conflict", "this key was used for something else", 409)
    return code, answer


def undo(db, call):
    """The compensation: takes back what is there, succeeds when there is nothing, and blocks the action."""
    db.execute("DELETE FROM reservations WHERE call = ?", (call,))
    db.execute("INSERT OR REPLACE INTO barrier VALUES (?, 'undone', '', 0, '')", (call,))
    return 200, "null"


class Seats(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with sqlite3.connect(DATABASE) as db:
            (taken,) = db.execute("SELECT coalesce(sum(seats), 0) FROM reservations").fetchone()
        self.say(200, json.dumps({"left": SEATS - taken}))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not is_signed(self.headers, body):
            return self.say(401, json.dumps({"code": "unsigned", "detail": "no valid webhook-signature"}))
        # <saga>/<step>/<action|compensation>[/<round>]: an action and its undo share what stands around the word.
        key = re.fullmatch(r"(.+)/(action|compensation)(/\d+)?", self.headers.get("Idempotency-Key", ""))
        direction = {"/reservations": "action", "/reservations/cancel": "compensation"}.get(self.path)
        if key is None or key[2] != direction:
            return self.say(404, json.dumps({"detail": "no such call, or a key of the other direction"}))
        call = key[1] + (key[3] or "")
        db = sqlite3.connect(DATABASE, isolation_level=None)
        try:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN IMMEDIATE")
            code, answer = act(db, call, body) if direction == "action" else undo(db, call)
            db.execute("COMMIT")
        finally:
            db.close()
        self.say(code, answer)

    def say(self, code, answer):
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer.encode())))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_):
        pass


with sqlite3.connect(DATABASE) as db:
    db.execute("CREATE TABLE IF NOT EXISTS reservations (call TEXT PRIMARY KEY, seats INTEGER NOT NULL)")
    db.execute(
        "CREATE TABLE IF NOT EXISTS barrier"
        " (call TEXT PRIMARY KEY, status TEXT NOT NULL, hash TEXT NOT NULL, code INTEGER NOT NULL, answer TEXT NOT NULL)"
    )
ThreadingHTTPServer(("127.0.0.1", PORT), Seats).serve_forever()
