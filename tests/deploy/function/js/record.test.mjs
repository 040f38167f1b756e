import assert from "node:assert/strict";
import { test } from "node:test";

import * as R from "../../../../kit/deploy/function/runtime/record.mjs";
import { eventOf, step } from "./store.mjs";

const now = 1_000_000;
const error = { type: "ValueError", message: "no", traceback: "Traceback…" };
const fresh = (more = {}) => R.begun(eventOf(), { now, ...more });
const how = (more = {}) => ({ now, token: "me", until: now + 26_000, code: "d1", patience: 5_000, ...more });
const running = (more = {}) => R.taken(fresh(more), how()).next;

test("ids are version-4 UUIDs in lower case, and nothing else", () => {
  const id = "0F1E2D3C-4B5A-4978-8695-A4B3C2D1E0FF";
  assert.equal(R.idOf(id), id.toLowerCase());
  for (const bad of ["", "../x", `${id}/..`, `${id}?`, `${id}#`, "x".repeat(10_000), null, undefined, {}, id.replace("-4978", "-1978")]) {
    assert.equal(R.idOf(bad), null);
  }
});

test("an index key tells what it was made from, and no other key does", () => {
  const entry = { id: eventOf().id, createdAt: now };
  assert.deepEqual(R.ofIndexKey(R.indexKey(entry)), entry);
  assert.match(R.indexKey(entry), /^[A-Za-z0-9._/-]+$/);
  for (const other of ["index/x", "index/1970-01-01/.abc", R.keyOf(entry.id)]) assert.equal(R.ofIndexKey(other), null);
});

test("who comes first takes the run; who comes meanwhile comes again when the lease is over", () => {
  const { next } = R.taken(fresh(), how());
  assert.deepEqual([next.status, next.owner.token, next.startedAt, next.due], ["running", "me", now, null]);
  assert.deepEqual(R.taken(next, how({ token: "you" })), { until: now + 26_000 });
  assert.equal(R.taken(next, how({ token: "you", now: now + 26_000 })).next.owner.token, "you");
});

test("nothing is left to be done for an ended run, nor for a deleted one", () => {
  for (const ended of [R.completed(running(), { result: "1", now }), R.failed(running(), { error, now }), R.cancelled(running(), { now })]) {
    assert.deepEqual(R.taken(ended, how()), {});
    assert.deepEqual(R.taken(R.tombstone(ended, { now }), how()), {});
  }
});

test("a run that sleeps is left alone until it is due, or its time is over", () => {
  const asleep = (more) => R.released(R.suspended(running(more), { waits: [{ id: "nap", kind: "sleep", due: now + 60_000 }], due: now + 60_000 }));
  assert.deepEqual(R.taken(asleep(), how()), { until: now + 60_000 });
  assert.deepEqual(R.taken(asleep({ timeout: 30_000 }), how()), { until: now + 30_000 });
  assert.equal(R.taken(asleep(), how({ now: now + 60_000 })).next.status, "running");
  const late = R.taken(asleep({ timeout: 30_000 }), how({ now: now + 30_000 })).next;
  assert.deepEqual([late.status, late.error.code], ["failed", "RUN_TIMED_OUT"]);
});

test("one that is due in a moment is taken, and keeps what it waits for until then", () => {
  const asleep = R.released(R.suspended(running(), { waits: [{ id: "nap", kind: "sleep", due: now + 4_000 }], due: now + 4_000 }));
  const { next } = R.taken(asleep, how({ token: "you" }));
  assert.deepEqual([next.status, next.due, next.owner.token], ["sleeping", now + 4_000, "you"]);
  const went = R.committed(next, { entries: [step("a")] });
  assert.deepEqual([went.status, went.due, went.waits], ["running", null, next.waits]);
  assert.deepEqual(R.committed(went, { entries: [step("nap")] }).waits, []);
});

test("entries are numbered in order, and forgotten by number wherever they are", () => {
  let record = R.committed(running(), { entries: [step("a"), step("b")] });
  [record] = R.sealed(record, "parts/x/1");
  record = R.committed(record, { entries: [step("c"), step("d")], forget: [1] });
  assert.deepEqual(record.segments, [{ key: "parts/x/1", first: 1, last: 2, count: 2 }]);
  record = R.committed(record, { entries: [step("c")], forget: [3] });
  assert.deepEqual(record.entries.map(({ n, id }) => [n, id]), [[4, "d"], [5, "c"]]);
  assert.deepEqual(record.forgotten, [1]);
});

test("a failed attempt is kept with its error, and its number is the kit's own", () => {
  const again = R.failedOnce(running(), { error, wait: 5_000, now });
  assert.deepEqual([again.status, again.attempt, again.due], ["queued", 1, now + 5_000]);
  assert.deepEqual(again.attempts, [{ number: 0, endedAt: now, error: { ...error, stepId: null, code: null }, retryIn: 5_000 }]);
  const dead = R.failed(again, { error, now });
  assert.deepEqual([dead.status, dead.error.type, dead.attempts.length, dead.owner], ["failed", "ValueError", 2, null]);
});

test("attempts without number keep the record small", () => {
  let record = running();
  const long = { ...error, traceback: `${"x".repeat(1_000_000)}the end`, message: "m".repeat(100_000) };
  for (let i = 0; i < 300; i += 1) record = R.failedOnce(record, { error: { ...long, message: "m" }, wait: 1, now });
  record = R.failed(record, { error: long, now });
  assert.ok(JSON.stringify(record).length < 150_000);
  assert.match(record.error.traceback, /the end$/);
  assert.equal(record.attempts.at(-1).number, 300);
});

test("stopping ends a run that nobody has in hand, and asks who has", () => {
  assert.equal(R.stopped(fresh(), { now }).status, "cancelled");
  const asked = R.stopped(running(), { now });
  assert.deepEqual([asked.status, asked.stop], ["running", now]);
  assert.equal(R.stopped(asked, { now: now + 1 }), asked);
  assert.equal(R.stopped(asked, { now: now + 26_000 }).status, "cancelled"); // its owner is gone
  assert.equal(R.taken(asked, how({ now: now + 26_000 })).next.status, "cancelled");
  const ended = R.completed(running(), { result: "1", now });
  assert.equal(R.stopped(ended, { now }), ended);
});

test("an ended run begins again after what it has finished, or from the start", () => {
  const failure = { ...step("bad"), text: '{"error":{"type":"E"}}' };
  let record = R.committed(running({ timeout: 60_000 }), { entries: [step("a"), failure, step("c")] });
  assert.equal(R.retried(record, { now }), record);
  record = R.failed(record, { error, now });
  const again = R.retried(record, { now: now + 100 });
  assert.deepEqual(again.entries.map(({ id }) => id), ["a"]);
  const told = [again.status, again.attempt, again.due, again.expires, again.error, again.endedAt];
  assert.deepEqual(told, ["queued", 0, now + 100, now + 60_100, null, null]);
  assert.deepEqual(R.retried(record, { now, fromStart: true }).entries, []);
  const [sealed] = R.sealed(record, "parts/x/1");
  assert.deepEqual(R.retried(sealed, { now, entries: record.entries }).forgotten, [2, 3]);
});
