import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { trial } from "../../../../kit/deploy/function/runtime/trial.mjs";
import { runs } from "../../../../kit/deploy/function/runtime/runs.mjs";
import { makeStore } from "./store.mjs";

const { server, close, makeBlobs, records } = await makeStore();
after(close);
beforeEach(() => server.clear());

test("a store that keeps to its conditions is found to, and nothing of the trial stays", async () => {
  const blobs = makeBlobs();
  const { verdict, checks, writers } = await trial(blobs);
  assert.equal(verdict, "kept");
  assert.deepEqual(checks.map(({ ok }) => ok), [true, true, true]);
  assert.equal(checks[2].why, `it stands at ${writers}`);
  assert.deepEqual(await blobs.keys("trial/"), []);
});

/** A store in memory that has no conditions. */
class Careless {
  kept = new Map();
  async read(key) {
    const text = this.kept.get(key);
    await new Promise(setImmediate);
    return text === undefined ? null : { text, etag: text };
  }
  async swap(key, text) {
    this.kept.set(key, text);
    await new Promise(setImmediate);
    return { etag: text };
  }
  async remove(key) {
    this.kept.delete(key);
  }
}

test("a store that does not is found out, in each of the ways", async () => {
  const blobs = new Careless();
  const { verdict, checks } = await trial(blobs);
  assert.equal(verdict, "broken");
  assert.deepEqual(checks.map(({ ok }) => ok), [false, false, false]);
  assert.equal(blobs.kept.size, 0);
});

test("what takes too long is not decided", async () => {
  const { verdict, checks } = await trial(makeBlobs(), { limit: -1 });
  assert.equal(verdict, "undecided");
  assert.equal(checks[2].ok, null);
});

test("it is asked for with the key, and by POST only", async () => {
  const handle = runs({ environ: { AWL_API_KEY: "k" }, makeRecords: () => records });
  const ask = (method, key) => {
    const url = "https://shop.example/.netlify/functions/kit-runs/try-store";
    return handle(new Request(url, { method, headers: { authorization: `Bearer ${key}` } }), {});
  };
  assert.equal((await ask("POST", "wrong")).status, 401);
  assert.equal((await ask("GET", "k")).status, 405);
  const response = await ask("POST", "k");
  assert.equal(response.status, 200);
  assert.equal((await response.json()).verdict, "kept");
});
