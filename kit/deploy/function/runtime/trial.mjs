// Whether the store keeps to its conditional writes: tried on keys of its own, which are removed.

import { randomUUID } from "node:crypto";

import { StoreError } from "./blobs.mjs";

const WRITERS = 8;
const LIMIT = 7_000; // ms for the writers; a function has ten seconds at least

/**
 * Try what the records of runs rely on. Returns `{verdict, checks, writers, took}`: `kept`, `broken`, or
 * `undecided` if time ran out; each check with its name, whether it holds (null: undecided), and why.
 */
export async function trial(blobs, { writers = WRITERS, limit = LIMIT, clock = performance } = {}) {
  const began = clock.now();
  const prefix = `trial/${randomUUID()}`;
  const keys = ["new", "stale", "counter"].map((name) => `${prefix}/${name}`);
  try {
    const checks = [
      await createdOnce(blobs, keys[0]),
      await staleRefused(blobs, keys[1]),
      await counted(blobs, keys[2], { writers, until: began + limit, clock }),
    ];
    return { verdict: verdictOf(checks), checks, writers, took: Math.round(clock.now() - began) };
  } finally {
    await Promise.allSettled(keys.map((key) => blobs.remove(key)));
  }
}

function verdictOf(checks) {
  if (checks.some(({ ok }) => ok === false)) return "broken";
  return checks.every(({ ok }) => ok) ? "kept" : "undecided";
}

const text = (value) => JSON.stringify({ value, by: randomUUID() }); // no two are equal

async function createdOnce(blobs, key) {
  const [one, other] = [await blobs.swap(key, text(1), null), await blobs.swap(key, text(2), null)];
  const ok = Boolean(one.etag && other.found && valueOf(await blobs.read(key)) === 1);
  return { name: "a key is created once", ok, why: ok ? "the second was refused" : "it was created twice" };
}

async function staleRefused(blobs, key) {
  const first = await blobs.swap(key, text(1), null);
  const second = await blobs.swap(key, text(2), first.etag);
  const late = await blobs.swap(key, text(3), first.etag);
  const ok = Boolean(second.etag && late.found && valueOf(await blobs.read(key)) === 2);
  return { name: "a stale etag is refused", ok, why: ok ? "what was newer stayed" : "it overwrote what was newer" };
}

/** So many writers add one, at once, each until it has: none may be lost, and no number won twice. */
async function counted(blobs, key, { writers, until, clock }) {
  const name = `${writers} writers at once lose nothing`;
  await blobs.swap(key, text(0), null);
  const won = await Promise.all(Array.from({ length: writers }, () => increment(blobs, key, { until, clock })));
  const done = won.filter((each) => each !== null);
  const value = valueOf(await blobs.read(key));
  const isExact = new Set(done).size === done.length && value === done.length;
  if (!isExact) return { name, ok: false, why: `${done.length} were told they had written, and it stands at ${value}` };
  if (done.length < writers) return { name, ok: null, why: `only ${done.length} of them came to write in time` };
  return { name, ok: true, why: `it stands at ${value}` };
}

/** Add one, and return the number it then is; null if that took too long. */
async function increment(blobs, key, { until, clock }) {
  while (clock.now() < until) {
    const known = await blobs.read(key);
    if (!known?.etag) throw new StoreError(`Netlify Blobs did not tell the etag of ${key}`);
    const next = valueOf(known) + 1;
    const { etag } = await blobs.swap(key, text(next), known.etag);
    if (etag) return next;
  }
  return null;
}

const valueOf = (found) => (found ? JSON.parse(found.text).value : null);
