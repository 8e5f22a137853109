// A participant in TypeScript (Node): seats that are reserved, and given back when a saga turns back.
//
//     AMENDS_SECRET_SEATS=whsec_… node participant.ts PORT FILE        (Node 22.18 or newer; older: npx tsc first)
//
// Node alone, no package. The file stands for your database: it holds the barrier's rows and the reservations, and is
// replaced whole, so that both are there or neither. Node runs one piece of code at a time: no lock is needed, as long as
// nothing is awaited between reading a row and storing it.

import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { dirname } from "node:path";

type Answer = { code: number; body: string };
/** One call: an action and its undo share it. */
type Row = Answer & { status: "acted" | "refused" | "undone"; hash: string; seats: number };

const SEATS = 10;
const [port, file] = [Number(process.argv[2]), process.argv[3] ?? "seats.json"];
const secret = Buffer.from((process.env.AMENDS_SECRET_SEATS ?? "").replace(/^whsec_/, ""), "base64");
if (secret.length === 0) throw new Error("AMENDS_SECRET_SEATS has to be whsec_ and base64");

const rows = new Map<string, Row>(existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : []);

/** The action: the same key gets the first answer, and one that was undone is never carried out. */
function act(call: string, body: Buffer): Answer {
  const hash = createHash("sha256").update(body).digest("hex");
  const known = rows.get(call);
  if (known === undefined) return store(call, { ...reserve(body), hash });
  if (known.status === "undone") return refused("undone", "this call was undone before it came", 409);
  if (known.hash !== hash) return refused("payload_conflict", "this key was used for something else", 409);
  return known;
}

/** The compensation: takes back what is there, succeeds when there is nothing, and blocks the action. */
function undo(call: string): Answer {
  return store(call, { status: "undone", hash: "", code: 200, body: "null", seats: 0 });
}

function reserve(body: Buffer): Omit<Row, "hash"> {
  const wanted = seatsOf(body);
  if (wanted === undefined) {
    return { ...refused("not_understood", "expected a number of seats"), status: "refused", seats: 0 };
  }
  if (wanted > left()) {
    const answer = refused("sold_out", `${left()} seats are left, ${wanted} were wanted`);
    return { ...answer, status: "refused", seats: 0 };
  }
  return { status: "acted", code: 200, body: JSON.stringify({ reserved: wanted }), seats: wanted };
}

function seatsOf(body: Buffer): number | undefined {
  try {
    const seats: unknown = JSON.parse(body.toString()).seats;
    return Number.isSafeInteger(seats) && (seats as number) > 0 ? (seats as number) : undefined;
  } catch {
    return undefined;
  }
}

function left(): number {
  return [...rows.values()].reduce((free, row) => free - row.seats, SEATS);
}

/** No, for good: nothing took place. */
function refused(code: string, detail: string, status = 422): Answer {
  return { code: status, body: JSON.stringify({ code, detail }) };
}

/** Stores a row and gives its answer. Should storing fail, the process ends, and the same call comes again. */
function store(call: string, row: Row): Answer {
  rows.set(call, row);
  writeFileSync(`${file}.next`, JSON.stringify([...rows]), { flush: true });
  renameSync(`${file}.next`, file);
  const folder = openSync(dirname(file), "r");
  fsyncSync(folder);
  closeSync(folder);
  return row;
}

/** Standard Webhooks: an HMAC over id, time and body; while a secret is replaced there are two of them. */
function isSigned(headers: IncomingHttpHeaders, body: Buffer): boolean {
  const sentAt = Number(headers["webhook-timestamp"]);
  if (!(Math.abs(Date.now() / 1000 - sentAt) <= 300)) return false;
  const mac = createHmac("sha256", secret).update(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`).update(body);
  const expected = Buffer.from(`v1,${mac.digest("base64")}`);
  const given = String(headers["webhook-signature"] ?? "").split(" ").map((one) => Buffer.from(one));
  return given.some((one) => one.length === expected.length && timingSafeEqual(one, expected));
}

function answer(path: string, headers: IncomingHttpHeaders, body: Buffer): Answer {
  if (!isSigned(headers, body)) {
    return refused("unsigned", "no valid webhook-signature", 401);
  }
  // <saga>/<step>/<action|compensation>[/<round>]: an action and its undo share what stands around the word.
  const key = /^(.+)\/(action|compensation)(\/\d+)?$/.exec(String(headers["idempotency-key"] ?? ""));
  const call = key === null ? "" : `${key[1]}${key[3] ?? ""}`;
  if (path === "/reservations" && key?.[2] === "action") return act(call, body);
  if (path === "/reservations/cancel" && key?.[2] === "compensation") return undo(call);
  return { code: 404, body: JSON.stringify({ detail: "no such call, or a key of the other direction" }) };
}

createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const path = request.url ?? "";
  const said =
    request.method === "GET"
      ? { code: 200, body: JSON.stringify({ left: left() }) }
      : answer(path, request.headers, Buffer.concat(chunks));
  response.writeHead(said.code, { "Content-Type": "application/json" }).end(said.body);
}).listen(port, "127.0.0.1");
