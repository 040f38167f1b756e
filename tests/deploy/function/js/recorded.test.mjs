import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, beforeEach, test } from "node:test";

import { take } from "../../../../kit/deploy/function/runtime/lease.mjs";
import * as R from "../../../../kit/deploy/function/runtime/record.mjs";
import { recorded } from "../../../../kit/deploy/function/runtime/recorded.mjs";
import { Records } from "../../../../kit/deploy/function/runtime/records.mjs";
import { eventOf, makeStore } from "./store.mjs";
import { listening } from "./site.mjs";

const { server, close, makeBlobs } = await makeStore();
const records = new Records(makeBlobs());
const { fetch } = globalThis;
const sent = [];
after(close);
beforeEach(() => {
  server.clear();
  sent.length = 0;
  process.env.AWL_API_KEY = "key";
  globalThis.fetch = async (url, init) => {
    if (!String(url).includes("async-workloads-router")) return fetch(url, init);
    sent.push(JSON.parse(init.body)[0]);
    return new Response("ack", { headers: { "x-awl-ack": "ack" } });
  };
});
afterEach(() => {
  globalThis.fetch = fetch;
  delete process.env.AWL_API_KEY;
});

class ErrorDoNotRetry extends Error {}

/** Deliver an event to a function that has none of the workflows; returns its alarms, and its failure. */
async function deliver(item) {
  const slept = [];
  const step = { sleep: async (id, ms) => void slept.push([id, ms]) };
  const library = {
    ErrorDoNotRetry,
    asyncWorkloadFn: (work) => (request) => work({ request, step, eventId: item.eventId }).catch((error) => ({ error })),
  };
  const handle = recorded(async () => library, { metaUrl: import.meta.url, workflows: [] });
  const url = `https://shop.example/.netlify/functions/kit-workflows-blobs?events=["${item.eventName}"]`;
  const request = new Request(url, { method: "POST", body: JSON.stringify([item]) });
  const context = { deploy: { context: "production", id: "d2" }, site: { url: "https://shop.example" } };
  const { error } = (await handle(request, context)) ?? {};
  return { slept, error };
}

const itemOf = ({ id }, more = {}) => ({ eventName: "greet", eventId: id, data: {}, stepResults: [], ...more });
const moved = { stepResults: [{ stepId: "awl:sleep:kit:moved:0", stepResult: "{}" }] };

async function asleep(ms) {
  const event = eventOf();
  const { lease } = await take(records, event, { lasts: 26_000, patience: 0 });
  const due = Date.now() + ms;
  await lease.finish((record) => R.suspended(record, { waits: [{ id: "nap", kind: "sleep", due }], due }), { letGo: true });
  return event;
}

test("an event whose workflow is not in its function any more goes to the one that has it", async () => {
  const event = await asleep(-1);
  const { slept, error } = await deliver(itemOf(event));
  assert.equal(error, undefined);
  const { eventId, fnName, isMoved, delayUntil, data } = sent[0];
  assert.deepEqual([sent.length, eventId, fnName, isMoved, delayUntil, data], [1, event.id, undefined, true, undefined, { to: "you" }]);
  assert.equal(slept[0][0], "kit:moved:0");
  assert.ok(slept[0][1] > 50_000 && slept[0][1] <= 60_000);
});

test("if nobody has taken it up, the run has failed, and says why", async () => {
  for (const more of [moved, { isMoved: true }]) {
    const event = await asleep(-1);
    const { slept, error } = await deliver(itemOf(event, more));
    assert.ok(error instanceof ErrorDoNotRetry);
    assert.match(error.message, /no function of the newest deploy has the workflow 'greet'/);
    const { record } = await records.read(event.id);
    assert.deepEqual([record.status, record.error.code, slept, sent], ["failed", "WORKFLOW_DEFINITION_NOT_FOUND", [], []]);
  }
});

test("if somebody has, or if it waits for a later moment, or has ended, it is left alone", async () => {
  const [waits, held] = [await asleep(600_000), await asleep(-1)];
  await take(records, held, { lasts: 26_000, patience: 0 });
  for (const event of [waits, held]) {
    const before = await records.read(event.id);
    assert.deepEqual(await deliver(itemOf(event, moved)), { slept: [], error: undefined });
    assert.deepEqual(await records.read(event.id), before);
  }
  await records.change(await records.read(waits.id), (record) => R.stopped(record, { now: Date.now() }));
  assert.deepEqual(await deliver(itemOf(waits)), { slept: [], error: undefined });
  assert.deepEqual(sent, []);
});

test("what cannot succeed is a dead letter at once", async () => {
  const damaged = await asleep(-1);
  const { etag } = await records.read(damaged.id);
  await makeBlobs().swap(R.keyOf(damaged.id), "{", etag);
  for (const [item, words] of [
    [itemOf({ id: randomUUID() }), /no function of the newest deploy/],
    [itemOf({ id: "../x" }), /is no id of an event/],
    [itemOf(damaged), /is damaged/],
  ]) {
    const { error } = await deliver(item);
    assert.ok(error instanceof ErrorDoNotRetry);
    assert.match(error.message, words);
  }
});

test("a record of a later version is left for the deploy that knows it", async () => {
  const event = await asleep(-1);
  const { etag } = await records.read(event.id);
  await makeBlobs().swap(R.keyOf(event.id), '{"v":2}', etag);
  await listening(async () => {
    const { error } = await deliver(itemOf(event));
    assert.ok(!(error instanceof ErrorDoNotRetry));
    assert.match(error.message, /a later version of the kit/);
  });
});
