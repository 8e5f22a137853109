#!/usr/bin/env node
// @ts-check
/**
 * A hospital's records and wards, for the saga in admission.yaml.
 *
 *     node services.mjs [--port 9301] [--data ./hospital-data]
 *
 * Node 20 or later, without dependencies. Kill it at any moment and start it again: everything that was answered is in
 * its file.
 */

import { createServer } from "node:http";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";

import { Barrier, Refused, readKey } from "./barrier.mjs";

const BODY_BYTES_MAX = 1 << 20;

/** How many beds each ward has. */
const BEDS = { surgery: 2, maternity: 10 };

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "9301" },
    data: { type: "string", default: "./hospital-data" },
  },
});
mkdirSync(options.data ?? "", { recursive: true });

/**
 * Everything that was done, by kind and number.
 * @type {Record<string, Map<string, Record<string, unknown>>>}
 */
const things = { files: new Map(), beds: new Map(), admissions: new Map(), arrivals: new Map() };

const barrier = new Barrier(join(options.data ?? "", "hospital.jsonl"), ({ kind, id, ...rest }, undo) => {
  if (undo) things[kind].set(id, { ...rest, ended: true });
  else things[kind].set(id, rest);
});

/** @typedef {{saga: string, body: any}} Asked */

/**
 * What each path does: an action decides, an undo only has to be found.
 * @type {Record<string, ((asked: Asked) => import("./barrier.mjs").Decision) | "undo">}
 */
const routes = {
  "/records/files": ({ saga, body }) => {
    const file = `file_${randomUUID()}`;
    return { effect: { kind: "files", id: file, saga, patient: text(body, "patient") }, output: { file } };
  },
  "/records/files/close": "undo",
  "/records/admissions": ({ saga, body }) => {
    const admission = `admission_${randomUUID()}`;
    const bed = text(body, "bed");
    return { effect: { kind: "admissions", id: admission, saga, bed }, output: { admission } };
  },
  "/records/admissions/revoke": "undo",
  "/wards/beds": ({ saga, body }) => {
    const ward = text(body, "ward");
    const taken = [...things.beds.values()].filter((bed) => bed.ward === ward && !bed.ended).length;
    if (taken >= (BEDS[/** @type {keyof BEDS} */ (ward)] ?? 0)) {
      throw new Refused("no_bed", `there is no bed free in ${ward}`);
    }
    const bed = `bed_${randomUUID()}`;
    return { effect: { kind: "beds", id: bed, saga, ward }, output: { bed } };
  },
  "/wards/beds/free": "undo",
  "/wards/arrivals": ({ saga, body }) => ({
    effect: { kind: "arrivals", id: `arrival_${randomUUID()}`, saga, bed: text(body, "bed") },
  }),
};

/** @param {any} body @param {string} name @returns {string} */
function text(body, name) {
  const value = body?.[name];
  if (typeof value !== "string" || value === "") throw new Refused("bad_body", `${name} is missing: send a text`);
  return value;
}

const server = createServer(async (request, response) => {
  /** @param {number} status @param {unknown} body */
  const answer = (status, body) => {
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body) + "\n");
    const step = request.headers["amends-step"];
    if (step) console.log(`${request.url} for ${step}, attempt ${request.headers["amends-attempt"]}: ${status}`);
  };
  try {
    const path = request.url ?? "";
    if (request.method === "GET" && path === "/") {
      const show = Object.entries(things).map(([kind, all]) => [kind, Object.fromEntries(all)]);
      return answer(200, Object.fromEntries(show));
    }
    const route = routes[path];
    if (request.method !== "POST" || !route) return answer(404, { detail: `${path} is not here` });
    const body = await read(request);
    const key = request.headers["idempotency-key"];
    const { saga, call } = readKey(/** @type {string} */ (key), route === "undo" ? "compensation" : "action");
    const done = route === "undo" ? barrier.undo(call) : barrier.action(call, body, () => route({ saga, body: json(body) }));
    answer(done.status, done.body);
  } catch (error) {
    if (error instanceof Refused) answer(400, { code: error.code, detail: error.message });
    // Unknown: the coordinator asks again, with the same key.
    else answer(500, { detail: String(error) });
  }
});

/** @param {string} body */
function json(body) {
  try {
    return JSON.parse(body);
  } catch {
    throw new Refused("not_json", "the body is not JSON");
  }
}

/** @param {import("node:http").IncomingMessage} request */
async function read(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new Refused("body_too_large", "send at most 1 MiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

server.on("error", (error) => {
  console.error(`port ${options.port} cannot be used (${error.message}): choose another with --port`);
  process.exit(1);
});
server.listen(Number(options.port), "127.0.0.1", () => {
  const address = /** @type {import("node:net").AddressInfo} */ (server.address());
  console.log(`the hospital: http://127.0.0.1:${address.port}`);
});
