import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { StoreError } from "../../../../kit/deploy/function/runtime/blobs.mjs";
import { STORE, makeStore } from "./store.mjs";

const { server, close, makeBlobs } = await makeStore();
after(close);
beforeEach(() => server.clear());
const blobs = makeBlobs();
const stored = (key) => server.contents(STORE)[key];
const puts = () => server.log.filter(({ op }) => op === "PUT").length;

test("a text is written where there was none, and read with its etag", async () => {
  assert.equal(await blobs.read("a/b"), null);
  const { etag } = await blobs.swap("a/b", "one", null);
  assert.deepEqual(await blobs.read("a/b"), { text: "one", etag });
});

test("a text is replaced only if it is the one that was read", async () => {
  const { etag } = await blobs.swap("a", "one", null);
  const second = await blobs.swap("a", "two", etag);
  const { found } = await blobs.swap("a", "three", etag);
  assert.deepEqual(found, { text: "two", etag: second.etag });
  assert.equal((await blobs.swap("a", "new", null)).found.text, "two");
  assert.equal(stored("a"), "two");
});

test("an etag that is missing is an error, never a write without a condition", async () => {
  await blobs.swap("a", "one", null);
  for (const etag of [undefined, ""]) {
    await assert.rejects(blobs.swap("a", "two", etag), StoreError);
  }
  assert.equal(stored("a"), "one");
});

for (const rule of [{ do: "lost" }, { do: "lost", times: 3 }]) {
  test(`a write whose answer is lost is found to be ours: ${JSON.stringify(rule)}`, async () => {
    const { etag } = await blobs.swap("a", "one", null);
    server.spoil({ op: "PUT", ...rule });
    const done = await blobs.swap("a", "two", etag);
    assert.deepEqual(await blobs.read("a"), { text: "two", etag: done.etag });
  });
}

test("a new text whose answer is lost is ours, and another's is not", async () => {
  server.spoil({ do: "lost", op: "PUT" });
  assert.ok((await blobs.swap("a", "ours", null)).etag);
  server.spoil({ do: "lost", op: "PUT" });
  assert.equal((await blobs.swap("a", "another", null)).found.text, "ours");
});

for (const status of [429, 500, 502, 503]) {
  test(`${status} is tried again, and soon`, async () => {
    server.spoil({ do: "refused", status, times: 2 });
    const rests = [];
    const counting = makeBlobs({ pause: async (ms) => void rests.push(ms) });
    assert.ok((await counting.swap("a", "one", null)).etag);
    assert.equal(puts(), 3);
    assert.equal(rests.length, 2);
    assert.ok(rests[0] + rests[1] <= 300); // ms; the library itself would rest for ten seconds
  });
}

test("what does not end is told with the status there really was", async () => {
  server.spoil({ do: "refused", times: 1_000 });
  await assert.rejects(blobs.swap("a", "one", null), (error) => error.status === 503 && /503/.test(error.message));
  await assert.rejects(blobs.read("a"), { name: "StoreError", status: 503 });
  await assert.rejects(blobs.keys(""), { name: "StoreError", status: 503 });
});

for (const status of [401, 403, 409, 418]) {
  test(`${status} fails at once, and is not taken for a success`, async () => {
    server.spoil({ do: "refused", status, times: 1_000 });
    await assert.rejects(blobs.swap("a", "one", null), { name: "StoreError", status });
    assert.equal(server.log.length, 1);
    assert.equal(stored("a"), undefined);
  });
}

test("a write that was done without an etag being told is looked up", async () => {
  server.spoil({ do: "untagged", op: "PUT" });
  const { etag } = await blobs.swap("a", "one", null);
  assert.equal(etag, (await blobs.read("a")).etag);
  assert.ok(etag);
});

test("a store that tells no etags at all is refused, with words", async () => {
  server.spoil({ do: "untagged", times: 1_000 });
  await assert.rejects(blobs.swap("a", "one", null), /did not tell the etag of a/);
  assert.deepEqual(await blobs.read("a"), { text: "one", etag: null });
  await assert.rejects(blobs.swap("a", "two", null), /did not tell the etag of a/);
});

test("under netlify dev, which tells etags in lists only, they are taken from there", async () => {
  server.spoil({ do: "untagged", op: "GET", times: 1_000 });
  const local = makeBlobs({ isLocal: true });
  const { etag } = await local.swap("a", "one", null);
  const found = await local.read("a");
  assert.deepEqual(found, { text: "one", etag });
  assert.ok((await local.swap("a", "two", found.etag)).etag);
});

test("a request that takes too long is broken off and tried again", async () => {
  const hasty = makeBlobs({ limit: 60 });
  server.spoil({ do: "late", op: "PUT", ms: 400 });
  assert.ok((await hasty.swap("a", "one", null)).etag);
  assert.equal(stored("a"), "one");
});

test("a write that comes late does no harm to one that came later", async () => {
  const { etag } = await blobs.swap("a", "one", null);
  const hasty = makeBlobs({ limit: 60 });
  server.spoil({ do: "late", op: "PUT", ms: 300 });
  const two = await hasty.swap("a", "two", etag);
  assert.ok((await blobs.swap("a", "three", two.etag)).etag);
  await new Promise((over) => setTimeout(over, 400));
  assert.equal(stored("a"), "three");
});

test("keys and folders are listed in order, over pages", async () => {
  for (const key of ["b/2/x", "b/1/x", "b/10/x", "a"]) await blobs.swap(key, key, null);
  assert.deepEqual(await blobs.keys("b/"), ["b/1/x", "b/10/x", "b/2/x"]);
  assert.deepEqual(await blobs.folders("b/"), ["1", "10", "2"]);
  assert.deepEqual(await blobs.keys("none/"), []);
  await blobs.remove("a");
  await blobs.remove("a");
  assert.equal(stored("a"), undefined);
});

test("without anything from the platform, nothing is tried for long", async () => {
  const context = process.env.NETLIFY_BLOBS_CONTEXT;
  delete process.env.NETLIFY_BLOBS_CONTEXT;
  try {
    await assert.rejects(blobs.read("a"), /has not been configured/);
  } finally {
    process.env.NETLIFY_BLOBS_CONTEXT = context;
  }
});
