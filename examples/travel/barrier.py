"""What makes a service safe to be called again, for a service with an SQLite database.

A coordinator calls at least once: an answer can get lost on its way back, and then the same call comes again, with the
same Idempotency-Key. So a service owes three things, and this file keeps them:

1. The same key gets the first answer, and has one effect.
2. An undo of something that was never seen succeeds, and blocks the action should it come later.
3. The same key with another body is answered 409 `payload_conflict`, and changes nothing.

One row per call, shared by an action and its undo, written in the same transaction as the effect.
"""

import hashlib
import json
import re

TABLES = """
CREATE TABLE IF NOT EXISTS calls (
    call   TEXT PRIMARY KEY,   -- the key without its direction: <saga>/<step>[/<round>]
    state  TEXT NOT NULL,      -- working, acted, refused, undone or blocked
    sha256 TEXT,               -- of the action's body
    answer TEXT                -- of the action, as JSON
);
CREATE TABLE IF NOT EXISTS callbacks (   -- what is still to be reported to the coordinator
    number INTEGER PRIMARY KEY, url TEXT NOT NULL, body TEXT NOT NULL
);
"""

KEY = re.compile(r"^(?P<saga>.+)/(?P<step>[^/]+)/(?P<direction>action|compensation)(?P<round>/[1-9][0-9]*)?$")


class Refused(Exception):
    """The service says no, for good, and nothing took place."""

    def __init__(self, code, detail):
        super().__init__(detail)
        self.code, self.detail = code, detail


class Working(Exception):
    """The service needs longer: it has written down what to do, and reports later."""


class Call:
    """One request of a coordinator, from its headers."""

    def __init__(self, headers, body, direction):
        key = headers.get("Idempotency-Key", "")
        parts = KEY.match(key)
        if not parts:
            raise Refused("idempotency_key_missing", "send Idempotency-Key: <saga>/<step>/action, or …/compensation")
        if parts["direction"] != direction:
            raise Refused("wrong_direction", f"{key} was sent to a path that takes an {direction}")
        self.saga = parts["saga"]
        self.call = f"{self.saga}/{parts['step']}{parts['round'] or ''}"
        self.callback = headers.get("Amends-Callback")
        self.sha256 = hashlib.sha256(body).hexdigest()


def action(db, call, business):
    """Carries an action out once. `business(db)` gives the output, raises Refused, or raises Working."""
    with db:  # one transaction: committed at the end, rolled back on an exception
        db.execute("BEGIN IMMEDIATE")
        row = db.execute("SELECT state, sha256, answer FROM calls WHERE call = ?", [call.call]).fetchone()
        if row:
            return repeated(call, *row)
        db.execute("SAVEPOINT business")
        try:
            state, answer = "acted", [200, business(db)]
        except Refused as no:
            db.execute("ROLLBACK TO business")  # nothing of it may stay, but the refusal itself
            state, answer = "refused", [422, {"code": no.code, "detail": no.detail}]
        except Working:
            # Without an address to call back it is asked again with the same key, a second later.
            state, answer = "working", [202, None if call.callback else {"retry_after": 1}]
        db.execute("INSERT INTO calls VALUES (?, ?, ?, ?)", [call.call, state, call.sha256, json.dumps(answer)])
        return answer


def repeated(call, state, sha256, answer):
    if state in ("undone", "blocked"):
        return [422, {"code": "undone", "detail": "this step was undone before"}]
    if sha256 != call.sha256:
        detail = f"{call.call} was called before with another body"
        return [409, {"code": "payload_conflict", "detail": detail}]
    return json.loads(answer)


def undo(db, call, business):
    """Takes an action back once, if it took effect; `business(db)` does it. It also stops one that is under way."""
    with db:
        db.execute("BEGIN IMMEDIATE")
        row = db.execute("SELECT state FROM calls WHERE call = ?", [call.call]).fetchone()
        if row is None:
            db.execute("INSERT INTO calls VALUES (?, 'blocked', NULL, NULL)", [call.call])
        elif row[0] in ("acted", "working"):
            business(db)
            db.execute("UPDATE calls SET state = 'undone' WHERE call = ?", [call.call])
        elif row[0] == "refused":
            db.execute("UPDATE calls SET state = 'blocked' WHERE call = ?", [call.call])
        return [200, None]


def decide(db, call, callback, outcome):
    """Ends a call that was answered 202, inside the transaction of its effect: the first answer is known now, and
    is reported until the coordinator has it."""
    if outcome["outcome"] == "completed":
        state, answer = "acted", [200, outcome["output"]]
    else:
        state, answer = "refused", [422, {"code": outcome["code"], "detail": outcome["detail"]}]
    db.execute("UPDATE calls SET state = ?, answer = ? WHERE call = ?", [state, json.dumps(answer), call])
    if callback:
        db.execute("INSERT INTO callbacks (url, body) VALUES (?, ?)", [callback, json.dumps(outcome)])
