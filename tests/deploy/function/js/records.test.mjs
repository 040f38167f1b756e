import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { take } from "../../../../kit/deploy/function/runtime/lease.mjs";
import * as R from "../../../../kit/deploy/function/runtime/record.mjs";
import { Records } from "../../../../kit/deploy/function/runtime/records.mjs";
import { STORE, eventOf, makeStore, step } from "./store.mjs";

const { server, close, clock, records, makeBlobs } = await makeStore();
after(close);
beforeEach(() => server.clear());

const how = { lasts: 26_000, patience: 5_000 };
const taken = async (event, more) => (await take(records, event, { ...how, ...more })).lease;
const keys = () => Object.keys(server.contents(STORE)).sort();
const idsOf = (entries) => entries.map(({ id }) => id);
const puts = () => server.log.filter(({ op, status }) => op === "PUT" && status === 200);
const complete = (lease, result = '"done"') => lease.finish((record) => R.completed(record, { result, now: clock.now }));

test("a run is created once, listed, and read as it was written", async () => {
  const event = eventOf();
  const lease = await taken(event);
  assert.deepEqual(keys(), [R.indexKey({ id: event.id, createdAt: clock.now }), R.keyOf(event.id)]);
  assert.deepEqual((await records.read(event.id)).record, lease.record);
  assert.equal(lease.record.event.data, '{"to":"you"}');
});

test("ten steps are twelve writes of the record", async () => {
  const lease = await taken(eventOf());
  for (let i = 0; i < 10; i += 1) assert.equal(await lease.commit({ entries: [step(`s${i}`)] }), "ack");
  assert.equal(await complete(lease), "ack");
  assert.equal(puts().length, 1 + 12);
  assert.equal(server.log.filter(({ op }) => op === "GET").length, 1);
});

test("what ends in one moment, or while a write is under way, goes together", async () => {
  const lease = await taken(eventOf());
  const before = puts().length;
  await Promise.all(["a", "b", "c"].map((id) => lease.commit({ entries: [step(id)] })));
  assert.equal(puts().length, before + 1);
  server.spoil({ op: "PUT", do: "delay", ms: 200 });
  const first = lease.commit({ entries: [step("d")] });
  while (puts().length < before + 2) await new Promise(setImmediate);
  const others = ["e", "f"].map((id) => lease.commit({ entries: [step(id)] }));
  const ending = complete(lease);
  assert.deepEqual(await Promise.all([first, ...others, ending]), ["ack", "ack", "ack", "ack"]);
  assert.equal(puts().length, before + 4);
  assert.deepEqual(idsOf(await lease.entries()), ["a", "b", "c", "d", "e", "f"]);
});

test("numbers that JavaScript has not stay as Python wrote them", async () => {
  const event = eventOf({ data: '{"big":12345678901234567890,"one":1.0}' });
  const lease = await taken(event);
  const text = '{"value":[1e400,12345678901234567890,1.0,-0.0]}';
  await lease.commit({ entries: [{ ...step("a"), text }] });
  const { record } = await records.read(event.id);
  assert.equal(record.entries[0].text, text);
  assert.equal(record.event.data, event.data);
});

test("large texts lie beside the record, and come back whole", async () => {
  const large = JSON.stringify({ value: "é".repeat(100_000) });
  const event = eventOf({ data: large });
  const lease = await taken(event);
  await lease.commit({ entries: [{ ...step("big"), text: large }, step("small")] });
  const { record } = await records.read(event.id);
  assert.ok(JSON.stringify(record).length < 2_000);
  assert.deepEqual(record.entries[0].text.bytes, Buffer.byteLength(large));
  assert.equal(await records.text(record.event.data), large);
  assert.deepEqual((await lease.entries()).map(({ text }) => text.length), [large.length, step("small").text.length]);
  const [big, small] = await records.filled(record.entries, 10_000);
  assert.deepEqual([big.text, small.text], [undefined, step("small").text]);
});

test("bytes written grow with the steps, and the record stays small", async () => {
  const written = {};
  for (const count of [250, 1_000]) {
    server.clear();
    const lease = await taken(eventOf());
    for (let i = 0; i < count; i += 1) await lease.commit({ entries: [step(`s${i}`, "x".repeat(500))] });
    await complete(lease);
    written[count] = puts().reduce((sum, { bytes }) => sum + bytes, 0);
    assert.ok(Math.max(...puts().map(({ bytes }) => bytes)) < 45_000);
    assert.deepEqual(idsOf(await lease.entries()), Array.from({ length: count }, (_, i) => `s${i}`));
  }
  assert.ok(written[1_000] < written[250] * 4.6, JSON.stringify(written));
});

test("a segment that is written and not named does no harm", async () => {
  const event = eventOf();
  const lease = await taken(event);
  for (let i = 0; i < 63; i += 1) await lease.commit({ entries: [step(`s${i}`, "x".repeat(400))] });
  server.spoil({ op: "PUT", key: "/runs/", do: "refused", status: 403 });
  await assert.rejects(lease.commit({ entries: [step("lost", "x".repeat(9_000))] }), { name: "StoreError" });
  clock.now += 26_000;
  const next = await taken(event);
  assert.equal((await next.entries()).length, 63);
  await next.commit({ entries: [step("again", "x".repeat(9_000))] });
  assert.equal(idsOf(await next.entries()).at(-1), "again");
});

test("the same event twice at once: one has the run, the other comes again", async () => {
  for (let round = 0; round < 20; round += 1) {
    const event = eventOf();
    const both = await Promise.all([1, 2, 3].map(() => take(records, event, how)));
    assert.equal(both.filter(({ lease }) => lease).length, 1);
    assert.deepEqual(both.map(({ until }) => until).filter(Boolean), [clock.now + 26_000, clock.now + 26_000]);
  }
});

test("an event that comes after the end finds it ended, and changes nothing", async () => {
  const event = eventOf();
  await complete(await taken(event));
  const before = server.contents(STORE);
  const { ended } = await take(records, event, how);
  assert.equal(ended.result, '"done"');
  assert.deepEqual(server.contents(STORE), before);
});

test("who has lost the lease writes nothing, and is told so", async () => {
  const event = eventOf();
  const slow = await taken(event);
  await slow.commit({ entries: [step("a")] });
  clock.now += 26_000;
  const quick = await taken(event);
  assert.equal(await slow.commit({ entries: [step("b")] }), "lost");
  assert.equal(await slow.commit({ entries: [step("c")] }), "lost");
  assert.equal(await complete(slow), "lost");
  assert.equal(await slow.look(), "lost");
  await quick.commit({ entries: [step("q")] });
  assert.deepEqual(idsOf(await quick.entries()), ["a", "q"]);
});

test("a stop that is asked for meanwhile is told with the next commit, which is stored", async () => {
  const event = eventOf();
  const lease = await taken(event);
  await records.change(await records.read(event.id), (record) => R.stopped(record, { now: clock.now }));
  assert.equal(await lease.commit({ entries: [step("a")] }), "stopped");
  await lease.finish((record) => R.cancelled(record, { now: clock.now }));
  const { record } = await records.read(event.id);
  assert.deepEqual([record.status, idsOf(record.entries)], ["cancelled", ["a"]]);
});

test("a look finds a stop, and an owner that has changed", async () => {
  const event = eventOf();
  const lease = await taken(event);
  assert.equal(await lease.look(), "ack");
  await records.change(await records.read(event.id), (record) => R.stopped(record, { now: clock.now }));
  assert.equal(await lease.look(), "stopped");
  assert.equal(await lease.commit({}), "stopped");
  clock.now += 26_000;
  assert.equal((await take(records, event, how)).ended.status, "cancelled");
  assert.equal(await lease.look(), "lost");
});

test("what is to be forgotten is found by its id, sealed or not, and by the newest of that id", async () => {
  const event = eventOf();
  const lease = await taken(event);
  for (let i = 0; i < 5; i += 1) await lease.commit({ entries: [step(`s${i}`, "x".repeat(10_000))] });
  await lease.commit({ entries: [step("s1")], forget: ["s1", "s4", "never"] });
  assert.deepEqual(idsOf(await lease.entries()), ["s0", "s2", "s3", "s1"]);
  clock.now += 26_000;
  const next = await taken(event);
  await next.entries();
  await next.commit({ forget: ["s1", "s0"] });
  assert.deepEqual(idsOf(await next.entries()), ["s2", "s3"]);
});

test("an answer that was lost is no second write", async () => {
  const event = eventOf();
  server.spoil({ op: "PUT", key: "/runs/", do: "lost" });
  const lease = await taken(event);
  server.spoil({ op: "PUT", key: "/runs/", do: "lost", times: 2 });
  assert.equal(await lease.commit({ entries: [step("a")] }), "ack");
  await lease.commit({ entries: [step("b")] });
  assert.deepEqual(idsOf((await records.read(event.id)).record.entries), ["a", "b"]);
});

test("access that is refused in mid-run is told, and the run goes on with the next event", async () => {
  const event = eventOf();
  const lease = await taken(event);
  await lease.commit({ entries: [step("a")] });
  server.spoil({ op: "PUT", do: "denied", times: 1 });
  await assert.rejects(lease.commit({ entries: [step("b")] }), { name: "StoreError", status: 401 });
  await assert.rejects(lease.commit({ entries: [step("c")] }), { name: "StoreError" }); // not known what is there
  clock.now += 26_000;
  assert.deepEqual(idsOf(await (await taken(event)).entries()), ["a"]);
});

test("commits that wait behind one that fails fail with it", async () => {
  const lease = await taken(eventOf());
  server.spoil({ op: "PUT", do: "refused", times: 1_000 });
  const all = await Promise.allSettled([lease.commit({ entries: [step("a")] }), complete(lease)]);
  assert.deepEqual(all.map(({ status }) => status), ["rejected", "rejected"]);
});

test("a store without etags on reads is an error where the record is taken", async () => {
  const event = eventOf();
  await complete(await taken(event));
  await records.change(await records.read(event.id), (record) => R.retried(record, { now: clock.now }));
  server.spoil({ op: "GET", do: "untagged", times: 1_000 });
  await assert.rejects(take(records, event, how), /did not tell the etag/);
});

test("a stale write is refused even if the record has come back to what it was", async () => {
  const event = eventOf();
  const lease = await taken(event);
  const stale = await records.read(event.id);
  await lease.commit({ entries: [step("x")] });
  await lease.commit({ forget: ["x"] });
  const { record } = await records.read(event.id);
  assert.deepEqual([record.entries, record.status], [stale.record.entries, stale.record.status]);
  let decisions = 0;
  await records.change(stale, (found) => ((decisions += 1), { ...found, due: 7 }));
  assert.equal(decisions, 2);
});

test("a store that lets two win is found out at the next commit", async () => {
  const event = eventOf();
  server.spoil({ op: "PUT", key: "/runs/", do: "two-winners", times: 2 });
  server.spoil({ op: "GET", key: "/runs/", do: "delay", ms: 300, times: 2 }); // both find nothing
  const [one, two] = await Promise.all([taken(event), taken(event)]);
  const said = [await one.commit({ entries: [step("a")] }), await two.commit({ entries: [step("b")] })];
  assert.deepEqual(said.sort(), ["ack", "lost"]);
});

test("a record of a later version, or none at all, is said to be so", async () => {
  const event = eventOf();
  const blobs = makeBlobs();
  await blobs.swap(R.keyOf(event.id), '{"v":2}', null);
  await assert.rejects(records.read(event.id), /has version 2, and this function knows 1: a later version/);
  for (const text of ["{", "", "null", "[]", "5", '{"v":"1"}', '{"v":1}', JSON.stringify({ ...eventOf(), v: 1 })]) {
    const other = eventOf();
    await blobs.swap(R.keyOf(other.id), text, null);
    await assert.rejects(records.read(other.id), { isNewer: false, message: /is damaged/ }, text);
  }
});

test("in the place of a damaged record a tombstone is put, which no late event begins anew", async () => {
  const event = eventOf();
  const lease = await taken(event);
  const { etag } = await records.read(event.id);
  await makeBlobs().swap(R.keyOf(event.id), "{", etag);
  await records.scrap(event.id);
  assert.deepEqual(await take(records, event, how).then(({ ended }) => R.isTombstone(ended)), true);
  assert.equal(await lease.look(), "lost");
});

test("a deleted run leaves nothing but a tombstone, and late events find that", async () => {
  const event = eventOf({ data: JSON.stringify("x".repeat(70_000)) });
  const lease = await taken(event);
  const running = await records.read(event.id);
  assert.equal((await records.remove(running)).record.status, "running");
  for (let i = 0; i < 70; i += 1) await lease.commit({ entries: [step(`s${i}`, "x".repeat(700))] });
  await complete(lease);
  const dead = await records.remove(await records.read(event.id));
  assert.deepEqual(keys(), [R.indexKey(dead.record), R.keyOf(event.id)]);
  const { ended } = await take(records, event, how);
  assert.deepEqual([ended.deletedAt, ended.status], [clock.now, "completed"]);
  await records.bury(dead);
  assert.deepEqual(keys(), []);
});

test("pages go from the newest to the oldest, whatever lies between", async () => {
  const all = [];
  for (let i = 0; i < 25; i += 1) {
    clock.now += i % 3 === 0 ? 36_000_000 : 0; // some in one millisecond, some on other days
    const event = eventOf({ workflow: i % 2 ? "odd" : "even" });
    all.unshift([event.id, clock.now]);
    await complete(await taken(event));
  }
  await makeBlobs().swap(R.keyOf(eventOf().id), "{", null);
  await makeBlobs().swap(R.indexKey({ id: eventOf().id, createdAt: clock.now }), "{}", null);
  await records.remove(await records.read(all[3][0]));
  const read = async (more) => {
    const found = [];
    let before = Infinity;
    for (let rounds = 0; before !== null && rounds < 100; rounds += 1) {
      const page = await records.page({ fits: () => true, limit: 4, most: 50, before, ...more });
      found.push(...page.found);
      before = page.next;
    }
    return found.map(({ id }) => id).sort();
  };
  const alive = all.filter(([id]) => id !== all[3][0]);
  assert.deepEqual(await read(), alive.map(([id]) => id).sort());
  const odd = await read({ fits: ({ workflow }) => workflow === "odd" });
  assert.equal(odd.length, alive.filter(([id]) => all.findIndex((each) => each[0] === id) % 2 === 1).length);
  const since = all[10][1];
  assert.deepEqual(await read({ since }), alive.filter(([, time]) => time >= since).map(([id]) => id).sort());
  assert.deepEqual(await read({ most: 1, limit: 1 }), alive.map(([id]) => id).sort());
});

// as many seeds as one likes: SEEDS=2000 node --test …
for (let seed = 0; seed < Number(process.env.SEEDS ?? 25); seed += 1) {
  test(`whoever interleaves, one truth comes of it (seed ${seed})`, async () => {
    server.clear();
    const random = randomOf(seed);
    const event = eventOf();
    const acknowledged = [];
    const workers = Array.from({ length: 2 + random(4) }, (_, number) => work(number, random, event, acknowledged));
    for (let i = random(6); i > 0; i -= 1) server.spoil(faultOf(random));
    await Promise.all(workers);
    server.rules.length = 0;
    const { record } = await records.read(event.id);
    const stored = await records.entries(record);
    const ids = idsOf(stored);
    assert.equal(new Set(ids).size, ids.length, "an entry is stored twice");
    for (const id of acknowledged) assert.ok(ids.includes(id), `${id} was acknowledged and is not there`);
    assert.deepEqual(stored.map(({ n }) => n), stored.map((_, index) => index + 1));
    // nobody came in between: what one owner wrote lies together
    const owners = ids.map((id) => id.split(":")[0]);
    assert.equal(owners.filter((owner, index) => owner !== owners[index - 1]).length, new Set(owners).size);
  });
}

/** Take the run when its lease is over, commit, be slow, be stopped, give up. */
async function work(number, random, event, acknowledged) {
  const mine = new Records(makeBlobs(), { now: () => clock.now });
  for (let round = 0; round < 4; round += 1) {
    await rest(random(8));
    if (random(3) === 0) clock.now += 13_000;
    const { lease } = await take(mine, event, how).catch(() => ({}));
    if (!lease) continue;
    for (let i = 0; i < random(6); i += 1) {
      const id = `${number}.${round}:${i}`;
      if (random(4) === 0) await rest(random(10));
      const said = await lease.commit({ entries: [step(id, "x".repeat(random(3) * 8_000))] }).catch(() => "unknown");
      if (said === "ack") acknowledged.push(id);
      else break;
    }
    if (random(2)) await lease.finish((record) => ({ ...record }), { letGo: true }).catch(() => {});
  }
}

const rest = (ms) => new Promise((over) => setTimeout(over, ms));

function faultOf(random) {
  const kinds = [{ do: "lost" }, { do: "refused" }, { do: "denied" }, { do: "delay", ms: 10 }, { do: "late", ms: 10 }, { do: "untagged" }];
  return { ...kinds[random(kinds.length)], after: random(10), times: 1 + random(3), op: random(3) ? "PUT" : undefined };
}

/** A small generator of numbers below a bound, the same for each seed (mulberry32). */
function randomOf(seed) {
  let state = seed * 2_654_435_761;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % bound;
  };
}
