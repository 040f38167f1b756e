// A run in one invocation's hands: taken, committed to, let go.

import { randomUUID } from "node:crypto";

import { StoreError } from "./blobs.mjs";
import { Lost, committed, isFinal, isOwned, released, taken } from "./record.mjs";

/**
 * Take the run of an event. Returns `{lease}`; or `{until}`, when to come again; or `{ended}`, the
 * record, if nothing is left to be done, or taking it has ended it.
 *
 * `lasts` is how long the invocation has, in ms, and `patience` how long it could wait in place.
 */
export async function take(records, event, { lasts, patience, code = null, timeout = null, token = randomUUID() }) {
  let choice;
  const known = await records.opened(event, { timeout });
  const held = await records.change(known, (record) => {
    const now = records.now();
    choice = taken(record, { now, token, until: now + lasts, code, patience });
    return choice.next ?? record;
  });
  if (choice.until !== undefined) return { until: choice.until, record: held.record };
  if (isFinal(held.record) || !choice.next) return { ended: held.record };
  return { lease: new Lease(records, held, token) };
}

/** The right to change a run's record, until somebody else has it. */
export class Lease {
  #records;
  #held;
  #token;
  #waiting = []; // commits that are yet to be written: {entries, forget, resolve, reject}
  #numbers = new Map(); // of entries, by their ids
  #writing = null;
  #broken = null;

  constructor(records, held, token) {
    this.#records = records;
    this.#held = held;
    this.#token = token;
  }

  /** The record as it was read or written last. */
  get record() {
    return this.#held.record;
  }

  /** Return all entries, with their texts. To be asked for before anything is forgotten. */
  async entries() {
    const entries = await this.#records.filled(await this.#records.entries(this.record));
    this.#note(entries);
    return entries;
  }

  /**
   * Store what has been finished; `forget` are ids of entries that no longer count. What comes while a write is under way goes with the next one, all of
   * it together. Returns "ack"; "stopped" if it is stored and the run is to end; or "lost" if it is not
   * and nothing may be run any more.
   *
   * @throws {StoreError} if it is not known to be stored; then neither is anything after it.
   */
  commit({ entries = [], forget = [] }) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entries, forget, resolve, reject });
      this.#writing ??= this.#write();
    });
  }

  async #write() {
    await new Promise(setImmediate); // what is said in the same moment goes together
    while (this.#waiting.length) {
      const some = this.#waiting.splice(0);
      try {
        const said = await this.#commit(some);
        for (const each of some) each.resolve(said);
      } catch (error) {
        for (const each of [...some, ...this.#waiting.splice(0)]) each.reject(error);
      }
    }
    this.#writing = null;
  }

  #commit(some) {
    const entries = some.flatMap((each) => each.entries);
    return this.#add(entries, some.flatMap((each) => each.forget), (record) => record);
  }

  /** Add to the record, and make of it what `decide` makes of it, in one write. */
  async #add(given, ids, decide) {
    const entries = [];
    for (const entry of given) entries.push({ ...entry, text: await this.kept(entry.text) });
    const forget = ids.map((id) => this.#numbers.get(id));
    let added;
    const said = await this.#change((record) => decide((added = committed(record, { entries, forget }))));
    if (added) this.#note(added.entries);
    return said;
  }

  #note(entries) {
    for (const { id, n } of entries) this.#numbers.set(id, n);
  }

  /**
   * Make of the record what `decide` makes of it, with what is to be added and forgotten, after all
   * commits under way; and go on holding it unless that ends it, or `letGo`. Returns as `commit` does.
   */
  async finish(decide, { entries = [], forget = [], letGo = false } = {}) {
    await this.#writing;
    return this.#add(entries, forget, (record) => (letGo ? released(decide(record)) : decide(record)));
  }

  /** Keep a text by itself if it is large. */
  kept = (text) => this.#records.kept(this.record.id, text);

  /** Look whether anybody has changed the record meanwhile; returns as `commit` does. */
  async look() {
    if (this.#broken) return this.#refuse();
    if (this.#writing) return "ack"; // which finds out as well
    const before = this.#held;
    const found = await this.#records.read(before.record.id);
    if (this.#held !== before || this.#writing) return "ack"; // one has begun meanwhile
    if (!found || !isOwned(found.record, this.#token)) return this.#lose();
    this.#held = found;
    return said(found.record);
  }

  async #change(decide) {
    if (this.#broken) return this.#refuse();
    try {
      this.#held = await this.#records.change(this.#held, (record) => {
        if (!isOwned(record, this.#token)) throw new Lost();
        return decide(record);
      });
      return said(this.record);
    } catch (error) {
      if (error instanceof Lost) return this.#lose();
      this.#broken = error instanceof StoreError ? error : new StoreError(error.message);
      throw this.#broken;
    }
  }

  /**
   * Let go of a run in the midst of it, if that can be done: so that whoever comes next need not wait
   * until the lease ends. Writes that are still under way then find another record, and are refused.
   */
  async abandon() {
    this.#broken ??= new Lost();
    try {
      const known = await this.#records.read(this.record.id);
      const letGo = (record) => (isOwned(record, this.#token) ? released(record) : record);
      if (known) await this.#records.change(known, letGo);
    } catch {
      // the store is not to be reached; the lease ends by itself
    }
  }

  #refuse() {
    if (this.#broken instanceof Lost) return "lost";
    throw this.#broken;
  }

  #lose() {
    this.#broken = new Lost();
    return "lost";
  }
}

const said = ({ stop }) => (stop === null ? "ack" : "stopped");
