#!/usr/bin/env python3
"""Flights, hotels and cars: three services with a database each, for the saga in book-trip.yaml.

    python3 services.py [--data ./travel-data] [--ports 9101,9102,9103] [--hotel-seconds 2]

Python 3.9 or later, standard library only. Kill it at any moment and start it again: everything that was answered is on
the disk, and the hotel goes on with what it was asked.
"""

import argparse
import json
import pathlib
import sqlite3
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from barrier import TABLES, Call, Refused, Working, action, decide, undo

BODY_BYTES_MAX = 1 << 20

RESERVATIONS = """
CREATE TABLE IF NOT EXISTS reservations (
    id TEXT PRIMARY KEY, saga TEXT NOT NULL, who TEXT NOT NULL, city TEXT NOT NULL,
    status TEXT NOT NULL       -- requested, reserved, declined or cancelled
);
CREATE INDEX IF NOT EXISTS by_saga ON reservations (saga);
CREATE TABLE IF NOT EXISTS itineraries (saga TEXT NOT NULL, text TEXT NOT NULL, status TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS requests (    -- what somebody at the hotel still has to decide
    call TEXT PRIMARY KEY, callback TEXT, reservation TEXT NOT NULL, city TEXT NOT NULL, due REAL NOT NULL
);
"""

# How many there are of each, by city; cities that are not listed have none.
PLACES = {
    "flights": {"Lisbon": 100, "Oslo": 100, "Rome": 100},
    "hotels": {"Lisbon": 50, "Oslo": 50, "Rome": 0},
    "cars": {"Lisbon": 50, "Oslo": 0, "Rome": 50},
}


class Service:
    """One of the three. Its database is opened by each thread that needs it."""

    def __init__(self, name, data, hotel_seconds):
        self.name, self.file, self.hotel_seconds = name, data / f"{name}.db", hotel_seconds
        db = self.open()
        db.executescript("PRAGMA journal_mode = WAL;" + TABLES + RESERVATIONS)
        db.close()

    def open(self):
        db = sqlite3.connect(self.file, timeout=10, isolation_level=None)
        db.execute("PRAGMA synchronous = FULL")  # an answer is on the disk before it is given
        return db

    def reserve(self, db, call, body):
        who, city = text(body, "who"), text(body, "city")
        reservation = f"{self.name[:-1]}_{uuid.uuid4().hex}"
        status = "requested" if self.name == "hotels" else "reserved"
        if self.name == "hotels":
            db.execute(
                "INSERT INTO requests VALUES (?, ?, ?, ?, ?)",
                [call.call, call.callback, reservation, city, time.time() + self.hotel_seconds],
            )
        else:
            self.require_place(db, city)
        db.execute("INSERT INTO reservations VALUES (?, ?, ?, ?, ?)", [reservation, call.saga, who, city, status])
        if self.name == "hotels":
            raise Working
        return {"reservation": reservation, "city": city}

    def require_place(self, db, city):
        """Called inside the transaction that takes the place, so that none is given away twice."""
        taken = "SELECT count(*) FROM reservations WHERE city = ? AND status = 'reserved'"
        if db.execute(taken, [city]).fetchone()[0] >= PLACES[self.name].get(city, 0):
            raise Refused(f"no_{self.name}", f"there are no {self.name} left in {city}")

    def cancel(self, db, call):
        db.execute("UPDATE reservations SET status = 'cancelled' WHERE saga = ?", [call.saga])
        db.execute("DELETE FROM requests WHERE call = ?", [call.call])

    def decide_requests(self):
        """Somebody at the hotel looks at what is due, and says yes or no."""
        db = self.open()
        due = db.execute("SELECT * FROM requests WHERE due <= ?", [time.time()]).fetchall()
        for call, callback, reservation, city, _ in due:
            with db:
                db.execute("BEGIN IMMEDIATE")
                if db.execute("DELETE FROM requests WHERE call = ?", [call]).rowcount == 0:
                    continue  # it was undone meanwhile
                try:
                    self.require_place(db, city)
                    status = "reserved"
                    said = {"outcome": "completed", "output": {"reservation": reservation, "city": city}}
                except Refused as no:
                    status = "declined"
                    said = {"outcome": "refused", "code": no.code, "detail": no.detail}
                db.execute("UPDATE reservations SET status = ? WHERE id = ?", [status, reservation])
                decide(db, call, callback, said)
        db.close()

    def report(self):
        """Tells the coordinator what was decided, until it has heard it."""
        db = self.open()
        for number, url, body in db.execute("SELECT number, url, body FROM callbacks").fetchall():
            request = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"})
            try:
                urllib.request.urlopen(request, timeout=5).close()
            except urllib.error.HTTPError as error:
                if error.code >= 500 or error.code in (408, 425, 429):
                    continue
                # It was decided otherwise meanwhile (409), or is no longer known: there is nobody left to tell.
                print(f"{self.name}: the callback was answered {error.code}", file=sys.stderr)
            except OSError:
                continue  # not there at the moment: again in a while
            db.execute("DELETE FROM callbacks WHERE number = ?", [number])
        db.close()

    def work(self):
        while True:
            self.decide_requests()
            self.report()
            time.sleep(0.1)


def text(body, name):
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, str) or not value:
        raise Refused("bad_body", f"{name} is missing: send a text")
    return value


def handler(service):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            db = service.open()
            rows = db.execute("SELECT id, saga, who, city, status FROM reservations ORDER BY rowid").fetchall()
            names = ["id", "saga", "who", "city", "status"]
            found = {"/reservations": {"reservations": [dict(zip(names, row)) for row in rows]}, "/health": {}}
            db.close()
            known = self.path in found
            self.answer(200 if known else 404, found.get(self.path, {"detail": f"{self.path} is not here"}))

        def do_POST(self):
            length = int(self.headers.get("Content-Length", 0))
            if length > BODY_BYTES_MAX:
                self.close_connection = True
                return self.answer(413, {"code": "body_too_large", "detail": "send at most 1 MiB"})
            body = self.rfile.read(length)
            db = service.open()
            try:
                self.answer(*self.carry_out(db, body))
            except Refused as no:  # before anything was looked up: the call itself makes no sense
                self.answer(400, {"code": no.code, "detail": no.detail})
            except sqlite3.Error as error:  # unknown: the coordinator asks again with the same key
                self.answer(500, {"detail": f"the database failed: {error}"})
            finally:
                db.close()

        def carry_out(self, db, body):
            if self.path == "/reservations":
                call = Call(self.headers, body, "action")
                return action(db, call, lambda db: service.reserve(db, call, parsed(body)))
            if self.path == "/reservations/cancel":
                call = Call(self.headers, body, "compensation")
                return undo(db, call, lambda db: service.cancel(db, call))
            if self.path == "/itineraries":
                call = Call(self.headers, body, "action")
                insert = "INSERT INTO itineraries VALUES (?, ?, 'sent')"
                sent = lambda db: db.execute(insert, [call.saga, body.decode()]) and {"sent": True}
                return action(db, call, sent)
            if self.path == "/itineraries/revoke":
                call = Call(self.headers, body, "compensation")
                update = "UPDATE itineraries SET status = 'revoked' WHERE saga = ?"
                return undo(db, call, lambda db: db.execute(update, [call.saga]))
            return [404, {"detail": f"{self.path} is not here"}]

        def answer(self, status, body):
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            step, attempt = self.headers.get("Amends-Step"), self.headers.get("Amends-Attempt")
            if step:
                print(f"{service.name}: {self.path} for {step}, attempt {attempt}", flush=True)

    return Handler


def parsed(body):
    try:
        return json.loads(body)
    except ValueError:
        raise Refused("not_json", "the body is not JSON") from None


def main():
    options = argparse.ArgumentParser(description="Three services: flights, hotels and cars.")
    options.add_argument("--data", type=pathlib.Path, default="./travel-data")
    options.add_argument("--ports", default="9101,9102,9103")
    options.add_argument("--hotel-seconds", type=float, default=2, help="how long the hotel thinks")
    options = options.parse_args()
    options.data.mkdir(parents=True, exist_ok=True)
    for name, port in zip(("flights", "hotels", "cars"), options.ports.split(",")):
        service = Service(name, options.data, options.hotel_seconds)
        try:
            server = ThreadingHTTPServer(("127.0.0.1", int(port)), handler(service))
        except OSError as error:
            sys.exit(f"{name}: port {port} cannot be used ({error}): choose others with --ports")
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        threading.Thread(target=service.work, daemon=True).start()
        print(f"{name}: http://127.0.0.1:{server.server_address[1]}", flush=True)
    print("All three are open; Ctrl-C ends them.", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
