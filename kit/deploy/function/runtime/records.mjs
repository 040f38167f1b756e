// Records in the store: created, changed by comparing and swapping, kept small, listed, removed.

import { randomBytes } from "node:crypto";

import { StoreError } from "./blobs.mjs";
import {
  LARGE,
  VERSION,
  begun,
  dayOf,
  indexKey,
  isFinal,
  isHeavy,
  isTombstone,
  keyOf,
  ofIndexKey,
  sealed,
  stamped,
  tombstone,
} from "./record.mjs";

/** What is stored cannot be read: it is damaged, or (`isNewer`) a later version of the kit wrote it. */
export class Damaged extends StoreError {
  constructor(message, { isNewer = false } = {}) {
    super(message);
    this.isNewer = isNewer;
  }
}

const AT_ONCE = 10; // requests
const TRIES = 12; // to change a record that others change too

/** Records of runs. What is *held* is `{record, etag}`: a record as it was read or written last. */
export class Records {
  #blobs;
  #now;
  #nonce;

  constructor(blobs, { now = Date.now, nonce = () => randomBytes(9).toString("base64url") } = {}) {
    this.#blobs = blobs;
    this.#now = now;
    this.#nonce = nonce;
  }

  now = () => this.#now();

  /** Return what is held of a run, or null. */
  async read(id) {
    return held(await this.#blobs.read(keyOf(id)), id);
  }

  /** Return the run that an event begins or has begun, whoever was first. `event` as in a record. */
  async opened(event, { timeout = null } = {}) {
    const found = await this.read(event.id);
    if (found) return found;
    const record = begun(event, { now: this.#now(), timeout });
    record.event.data = await this.kept(event.id, event.data);
    // first, so that no run is there that no list shows; a name for nothing is passed over
    await this.#blobs.swap(indexKey(record), JSON.stringify({ by: this.#nonce() }), null);
    return { record, etag: null };
  }

  /**
   * Make of a run what `decide` makes of its record, by a decision that is made again if somebody else
   * was faster. The same record means that there is nothing to do. Returns what is held then.
   *
   * @throws {StoreError} if that cannot be done, or cannot be known to be done.
   */
  async change(known, decide) {
    const { id } = known.record;
    for (let tries = 0; tries < TRIES; tries += 1) {
      const next = decide(known.record);
      if (next === known.record) return known;
      const small = await this.#made(next);
      const record = stamped(small, { nonce: this.#nonce(), now: this.#now() });
      const done = await this.#blobs.swap(keyOf(id), JSON.stringify(record), known.etag);
      if (done.etag) return { record, etag: done.etag };
      if (!done.found) throw new StoreError(`the record of ${id} has vanished`);
      known = held(done.found, id);
      await new Promise((over) => setTimeout(over, Math.random() * 20 * tries));
    }
    throw new StoreError(`the record of ${id} could not be changed: others kept changing it`);
  }

  /** Return a text as a record keeps it: itself, or where it is. */
  async kept(id, text) {
    const bytes = typeof text === "string" ? Buffer.byteLength(text) : 0;
    if (bytes <= LARGE) return text;
    // together with a mark, so that no two bodies are equal
    return { ref: await this.#put(id, `${this.#nonce()}\n${text}`), bytes };
  }

  /** Return the text that a record keeps. */
  async text(kept) {
    if (!kept?.ref) return kept;
    const found = await this.#blobs.read(kept.ref);
    if (!found) throw new Damaged(`${kept.ref}, which its record names, is not there`);
    return found.text.slice(found.text.indexOf("\n") + 1);
  }

  /** Return all entries of a record, in order; texts kept elsewhere are left there. */
  async entries({ segments, entries, forgotten }) {
    const gone = new Set(forgotten);
    const blocks = await inOrder(segments, async ({ key }) => {
      const found = await this.#blobs.read(key);
      if (!found) throw new Damaged(`${key}, which its record names, is not there`);
      return parsed(found.text, key);
    });
    return [...blocks.flat().filter(({ n }) => !gone.has(n)), ...entries];
  }

  /** Return entries with their texts; without those that would make it more than `most` bytes. */
  async filled(entries, most = Infinity) {
    let left = most;
    return inOrder(entries, async (entry) => {
      const bytes = entry.text?.bytes ?? entry.text?.length ?? 0;
      if (bytes > left) return { ...entry, text: undefined };
      left -= bytes;
      return entry.text?.ref ? { ...entry, text: await this.text(entry.text) } : entry;
    });
  }

  /**
   * Delete a run that has ended; a tombstone stays. Returns what is held then.
   *
   * Its record goes first: what is still there if this breaks off, the sweep finds.
   */
  async remove(known) {
    const now = this.#now();
    const dead = await this.change(known, (record) =>
      isFinal(record) && !isTombstone(record) ? tombstone(record, { now }) : record,
    );
    if (isTombstone(dead.record)) await this.#removeParts(dead.record.id);
    return dead;
  }

  /** Remove a tombstone, and all there is of it. */
  async bury({ record }) {
    await this.#removeParts(record.id);
    await this.#blobs.remove(keyOf(record.id));
    await this.#blobs.remove(indexKey(record));
  }

  async #removeParts(id) {
    const keys = await this.#blobs.keys(`parts/${id}/`);
    await inOrder(keys, (key) => this.#blobs.remove(key));
  }

  /** What keeps the records. */
  get blobs() {
    return this.#blobs;
  }

  /** The days on which runs began, oldest first. */
  days = () => this.#blobs.folders("index/");

  /** What the index has of a day, oldest first: `{id, createdAt}`; some of it may be of no run. */
  async indexed(day) {
    const keys = await this.#blobs.keys(`index/${day}/`);
    return keys.map(ofIndexKey).filter(Boolean);
  }

  /** Forget an entry of the index that is of no run. */
  unlist = (entry) => this.#blobs.remove(indexKey(entry));

  /**
   * Return what is held of entries of the index: null for those that are of no run, and without a record
   * where it cannot be read, which is that run's trouble and not that of the others.
   */
  async heads(entries) {
    return inOrder(entries, async ({ id, createdAt }) => {
      try {
        const found = await this.read(id);
        return found?.record.createdAt === createdAt ? found : null;
      } catch (error) {
        if (error instanceof Damaged) return { record: null };
        throw error;
      }
    });
  }

  /** Put a tombstone in the place of a record that cannot be read, unless it is a later version's. */
  async scrap(id) {
    const found = await this.#blobs.read(keyOf(id));
    const now = this.#now();
    const stone = tombstone({ v: VERSION, rev: 0, id, workflow: "", status: "failed", createdAt: 0 }, { now });
    const text = JSON.stringify(stamped(stone, { nonce: this.#nonce(), now }));
    const done = await this.#blobs.swap(keyOf(id), text, found.etag);
    if (!done.etag) throw new StoreError(`the record of ${id} could not be replaced: it was just changed`);
    await this.#removeParts(id);
  }

  /**
   * Return the newest records that `fits` likes, newest first, of runs created before `before` and not
   * before `since`: at most `limit` of them, having looked at no more than `most`. `next` is where to go
   * on, or null.
   */
  async page({ fits, limit, most, before = Infinity, since = 0 }) {
    const found = [];
    let looked = 0;
    const days = (await this.days()).filter((day) => day >= dayOf(since)).reverse();
    for (const day of days) {
      if (Date.parse(day) >= before) continue;
      const inTime = ({ createdAt }) => createdAt < before && createdAt >= since;
      const entries = (await this.indexed(day)).filter(inTime).reverse();
      while (entries.length) {
        const some = entries.splice(0, Math.min(AT_ONCE, limit - found.length));
        // what was created in one millisecond stays together: the next page begins before it
        while (entries.length && entries[0].createdAt === some.at(-1).createdAt) some.push(entries.shift());
        const heads = (await this.heads(some)).filter((each) => each?.record && !isTombstone(each.record));
        found.push(...heads.map(({ record }) => record).filter(fits));
        looked += some.length;
        const isAll = entries.length === 0 && day === days.at(-1);
        const isEnough = found.length >= limit || looked >= most;
        if (isEnough) return { found, next: isAll ? null : some.at(-1).createdAt };
      }
    }
    return { found, next: null };
  }

  /** Seal entries that have become too much, before the record that names them is written. */
  async #made(record) {
    if (isTombstone(record) || !isHeavy(record)) return record;
    const name = `parts/${record.id}/${record.seq}-${this.#nonce()}.json`;
    const [light, text] = sealed(record, name);
    await this.#blobs.swap(name, text, null);
    return light;
  }

  async #put(id, text) {
    const key = `parts/${id}/v-${this.#nonce()}.json`;
    await this.#blobs.swap(key, text, null);
    return key;
  }
}

function held(found, id) {
  if (!found) return null;
  const record = parsed(found.text, `the record of ${id}`);
  if (record?.v === VERSION && record.id === id) return { record, etag: found.etag };
  if (!(record?.v > VERSION)) throw new Damaged(`the record of ${id} is damaged`);
  const why = `the record of ${id} has version ${record.v}, and this function knows ${VERSION}`;
  throw new Damaged(`${why}: a later version of the kit was deployed meanwhile`, { isNewer: true });
}

function parsed(text, what) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Damaged(`${what} is damaged: ${error.message}`);
  }
}

/** Map in order, some at once. */
export async function inOrder(items, work) {
  const results = [];
  let next = 0;
  const workers = Array.from({ length: Math.min(AT_ONCE, items.length) }, async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index], index);
    }
  });
  await Promise.all(workers);
  return results;
}
