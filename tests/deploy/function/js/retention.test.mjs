import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { take } from "../../../../kit/deploy/function/runtime/lease.mjs";
import * as R from "../../../../kit/deploy/function/runtime/record.mjs";
import { sweep } from "../../../../kit/deploy/function/runtime/retention.mjs";
import { STORE, eventOf, makeStore } from "./store.mjs";

const DAY = 86_400_000;
const { server, close, clock, records, makeBlobs } = await makeStore();
after(close);
beforeEach(() => server.clear());
const keys = () => Object.keys(server.contents(STORE));

async function ended(more) {
  const event = eventOf(more);
  const { lease } = await take(records, event, { lasts: 26_000, patience: 0 });
  await lease.finish((record) => R.completed(record, { result: "1", now: clock.now }));
  return event.id;
}

test("what ended long ago is removed with all there is of it, and nothing else", async () => {
  await ended({ data: JSON.stringify("x".repeat(70_000)) });
  const asleep = eventOf();
  await take(records, asleep, { lasts: 26_000, patience: 0 });
  clock.now += 25 * DAY;
  const young = await ended();
  clock.now += 6 * DAY;
  assert.deepEqual(await sweep(records, { age: 30 * DAY }), { removed: 1, isDone: true });
  assert.deepEqual(keys().filter((key) => key.startsWith("runs/")).sort(), [R.keyOf(asleep.id), R.keyOf(young)].sort());
  assert.equal(keys().length, 4);
});

test("of one that ended lately a tombstone stays, until no late event need be expected", async () => {
  const id = await ended();
  clock.now += 2 * DAY;
  assert.deepEqual(await sweep(records, { age: DAY }), { removed: 1, isDone: true });
  assert.ok(R.isTombstone((await records.read(id)).record));
  clock.now += 29 * DAY;
  await sweep(records, { age: DAY });
  assert.equal(keys().length, 2);
  clock.now += 2 * DAY;
  assert.deepEqual(await sweep(records, { age: DAY }), { removed: 0, isDone: true });
  assert.deepEqual(keys(), []);
});

test("names of no run are cleared away, once nobody can be about to write it", async () => {
  const entry = { id: eventOf().id, createdAt: clock.now };
  await makeBlobs().swap(R.indexKey(entry), "{}", null);
  await sweep(records, { age: 0 });
  assert.equal(keys().length, 1);
  clock.now += 2 * DAY;
  await sweep(records, { age: 0 });
  assert.deepEqual(keys(), []);
});

test("what cannot be read stays, and so does its place in the list", async () => {
  const [damaged, newer] = [await ended(), await ended()];
  for (const [id, text] of [[damaged, "{"], [newer, '{"v":2}']]) {
    const { etag } = await records.read(id);
    await makeBlobs().swap(R.keyOf(id), text, etag);
  }
  clock.now += 40 * DAY;
  assert.deepEqual(await sweep(records, { age: 30 * DAY }), { removed: 0, isDone: true });
  assert.equal(keys().length, 4);
});

test("a sweep that takes long stops, and the next one goes on", async () => {
  for (let i = 0; i < 25; i += 1) await ended();
  clock.now += 40 * DAY;
  let ticks = 0;
  const slow = { now: () => (ticks += 1) };
  const first = await sweep(records, { age: 30 * DAY, limit: 2, clock: slow });
  assert.deepEqual(first, { removed: 20, isDone: false });
  assert.deepEqual(await sweep(records, { age: 30 * DAY }), { removed: 5, isDone: true });
});
