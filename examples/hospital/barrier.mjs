// @ts-check
/**
 * What makes a service safe to be called again, for a service that keeps what it knows in memory and in a file.
 *
 * A coordinator calls at least once: an answer can get lost on its way back, and then the same call comes again, with
 * the same Idempotency-Key. So a service owes three things, and this file keeps them:
 *
 * 1. The same key gets the first answer, and has one effect.
 * 2. An undo of something that was never seen succeeds, and blocks the action should it come later.
 * 3. The same key with another body is answered 409 `payload_conflict`, and changes nothing.
 *
 * Each call is one line of the file: its answer and its effect together, so that both are there or neither.
 */

import { createHash } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, truncateSync, writeSync } from "node:fs";

/** @typedef {{status: number, body: unknown}} Answer */
/** @typedef {{effect: unknown, output?: unknown}} Decision what a call changes, and what it answers */
/** @typedef {"acted" | "refused" | "undone" | "blocked"} State */
/** @typedef {{call: string, state: State, hash?: string, answer?: Answer, effect?: unknown}} Entry */

/** `<saga>/<step>[<n>]/<action|compensation>[/<round>]` */
const KEY = /^(?<saga>.+)\/(?<step>[^/]+)\/(?<direction>action|compensation)(?<round>\/[1-9][0-9]*)?$/;

/** The service says no, for good, and nothing took place. */
export class Refused extends Error {
  /** @param {string} code @param {string} detail */
  constructor(code, detail) {
    super(detail);
    this.code = code;
  }
}

/** @param {string | undefined} key @param {"action" | "compensation"} direction */
export function readKey(key, direction) {
  const parts = KEY.exec(key ?? "")?.groups;
  if (!parts) {
    throw new Refused("idempotency_key_missing", "send Idempotency-Key: <saga>/<step>/action, or …/compensation");
  }
  if (parts.direction !== direction) {
    throw new Refused("wrong_direction", `${key} was sent to a path that takes an ${direction}`);
  }
  return { saga: parts.saga, call: `${parts.saga}/${parts.step}${parts.round ?? ""}` };
}

export class Barrier {
  /** @type {Map<string, Entry>} */
  #calls = new Map();
  /** @type {number} */
  #file;
  #apply;

  /**
   * @param {string} path
   * @param {(effect: any, undo: boolean) => void} apply changes what is in memory; called for each effect, also when the
   *   file is read again
   */
  constructor(path, apply) {
    this.#apply = apply;
    const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
    // What is behind the last line break was cut off by a kill, and was never answered.
    const whole = bytes.lastIndexOf("\n") + 1;
    for (const line of bytes.subarray(0, whole).toString().split("\n").filter(Boolean)) {
      this.#take(JSON.parse(line));
    }
    if (whole < bytes.length) truncateSync(path, whole);
    this.#file = openSync(path, "a");
  }

  /**
   * Carries an action out once.
   * @param {string} call @param {string} body @param {() => Decision} business
   * @returns {Answer}
   */
  action(call, body, business) {
    const hash = createHash("sha256").update(body).digest("hex");
    const known = this.#calls.get(call);
    if (known?.state === "undone" || known?.state === "blocked") {
      return no(422, "undone", "this step was undone before");
    }
    if (known && known.hash !== hash) {
      return no(409, "payload_conflict", `${call} was called before with another body`);
    }
    if (known?.answer) return known.answer;
    try {
      const { effect, output } = business();
      return this.#write({ call, state: "acted", hash, answer: { status: 200, body: output ?? null }, effect });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return this.#write({ call, state: "refused", hash, answer: no(422, error.code, error.message) });
    }
  }

  /**
   * Takes an action back once, if it took effect; otherwise it sees to it that it never will.
   * @param {string} call
   * @returns {Answer}
   */
  undo(call) {
    const known = this.#calls.get(call);
    if (known?.state !== "undone" && known?.state !== "blocked") {
      const acted = known?.state === "acted";
      this.#write({ call, state: acted ? "undone" : "blocked", effect: acted ? known.effect : undefined });
    }
    return { status: 200, body: null };
  }

  close() {
    closeSync(this.#file);
  }

  /** @param {Entry} entry @returns {Answer} */
  #write(entry) {
    try {
      writeSync(this.#file, JSON.stringify(entry) + "\n");
      fsyncSync(this.#file); // the answer is on the disk before it is given
    } catch (error) {
      // Nobody knows what is on the disk now. The next start finds out.
      console.error(`the file could not be written: ${error}`);
      process.exit(1);
    }
    this.#take(entry);
    return entry.answer ?? { status: 200, body: null };
  }

  /** @param {Entry} entry */
  #take(entry) {
    this.#calls.set(entry.call, entry);
    if (entry.effect) this.#apply(entry.effect, entry.state === "undone");
  }
}

/** @param {number} status @param {string} code @param {string} detail @returns {Answer} */
function no(status, code, detail) {
  return { status, body: { code, detail } };
}
