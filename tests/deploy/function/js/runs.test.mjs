import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, beforeEach, test } from "node:test";

import { toJson, Raw } from "../../../../kit/deploy/function/runtime/json.mjs";
import { isKnown, keysIn } from "../../../../kit/deploy/function/runtime/keys.mjs";
import { take } from "../../../../kit/deploy/function/runtime/lease.mjs";
import * as R from "../../../../kit/deploy/function/runtime/record.mjs";
import { originOf } from "../../../../kit/deploy/function/runtime/router.mjs";
import { runs } from "../../../../kit/deploy/function/runtime/runs.mjs";
import { STORE, eventOf, makeStore, step } from "./store.mjs";
import { listening } from "./site.mjs";

const KEY = "the-key-of-the-site";
const environ = { AWL_API_KEY: KEY, AWL_API_KEY_P1: "an-older-key", URL: "https://shop.example" };
const { server, close, clock, records, makeBlobs } = await makeStore();
after(close);
const sent = [];
let router = () => new Response("ack", { headers: { "x-awl-ack": "ack" } });
beforeEach(() => {
  server.clear();
  sent.length = 0;
  router = () => new Response("ack", { headers: { "x-awl-ack": "ack" } });
});

const fetch = async (url, init) => {
  sent.push([url, init]);
  return router();
};
const site = { deploy: { context: "production" }, site: { url: "https://shop.example" } };

async function ask(path = "", { method = "GET", key = KEY, headers = {}, body, env = environ, homes } = {}) {
  const handle = runs({ homes, environ: env, makeRecords: () => records, fetch });
  const authorization = key === null ? {} : { authorization: `Bearer ${key}` };
  const url = `https://shop.example/.netlify/functions/kit-runs${path}`;
  const response = await handle(new Request(url, { method, headers: { ...authorization, ...headers }, body }), site);
  const text = await response.text();
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(response.headers.get("access-control-allow-origin"), null);
  assert.equal(response.headers.get("x-kit-runs"), "1");
  return { status: response.status, text, body: JSON.parse(text), code: JSON.parse(text).error?.code };
}

async function started(more = {}, steps = []) {
  const event = eventOf(more);
  const { lease } = await take(records, event, { lasts: 26_000, patience: 0 });
  if (steps.length) await lease.commit({ entries: steps });
  return { id: event.id, lease };
}

const error = { type: "ValueError", message: "no", traceback: "Traceback…", stepId: "bad", code: null };

async function ended(how = (record) => R.completed(record, { result: '{"n":1.0}', now: clock.now }), ...rest) {
  const { id, lease } = await started(...rest);
  await lease.finish(how);
  return id;
}

test("a run is shown with its steps, attempts and what it waits for", async () => {
  const failure = { ...step("bad"), text: '{"error":{"type":"E","message":"m"}}' };
  const inner = { ...step("in"), text: '{"value":{"a":1.0},"inner":true}' };
  const within = { ...step("within"), text: '{"value":{"b":",","outer":"no"},"outer":"o,\\"outer\\":","inner":true}' };
  const { id, lease } = await started({ workflow: "greet", priority: 7 }, [step("a"), failure, inner, within]);
  await lease.finish((record) => R.failedOnce(record, { error, wait: 5_000, now: clock.now }));
  await lease.finish((record) => R.suspended(record, { waits: [{ id: "nap", kind: "sleep", due: clock.now + 60_000 }], due: clock.now + 60_000 }), { letGo: true });
  const { status, body, text } = await ask(`/${id.toUpperCase()}`);
  assert.equal(status, 200);
  assert.deepEqual(body, {
    id,
    workflow: "greet",
    status: "sleeping",
    attempt: 1,
    createdAt: clock.now,
    startedAt: clock.now,
    endedAt: null,
    dueAt: clock.now + 60_000,
    priority: 7,
    data: { to: "you" },
    result: null,
    error: null,
    steps: [
      { id: "a", kind: "step", status: "completed", startedAt: 1, endedAt: 2, value: "a" },
      { id: "bad", kind: "step", status: "failed", startedAt: 1, endedAt: 2, error: { type: "E", message: "m" } },
      { id: "in", kind: "step", status: "completed", startedAt: 1, endedAt: 2, value: { a: 1 } },
      { id: "within", kind: "step", status: "completed", startedAt: 1, endedAt: 2, value: { b: ",", outer: "no" } },
      { id: "nap", kind: "sleep", status: "sleeping", startedAt: null, endedAt: clock.now + 60_000 },
    ],
    attempts: [{ number: 0, endedAt: clock.now, error, retryIn: 5_000 }],
  });
  assert.match(text, /"value":\{"a":1\.0\}/);
});

test("values arrive as Python wrote them, unless they would make the answer too large", async () => {
  const big = (id) => ({ ...step(id), text: JSON.stringify({ value: "x".repeat(1_500_000) }) });
  const id = await ended(undefined, {}, [{ ...step("n"), text: '{"value":12345678901234567890}' }, big("a"), big("b"), big("c")]);
  const { text, body } = await ask(`/${id}`);
  assert.match(text, /"value":12345678901234567890[,}]/);
  assert.ok(text.length < 5_000_000);
  assert.deepEqual(body.steps.map((each) => "value" in each), [true, true, true, false]);
});

test("the result is there as soon as it is, and the status before", async () => {
  const { id, lease } = await started({ workflow: "greet" });
  const expected = { id, workflow: "greet", status: "running", result: null, error: null };
  assert.deepEqual((await ask(`/${id}/result`)).body, expected);
  await lease.finish((record) => R.completed(record, { result: '{"n":1.0}', now: clock.now }));
  assert.equal((await ask(`/${id}/result`)).text, `{"id":"${id}","workflow":"greet","status":"completed","result":{"n":1.0},"error":null}`);
});

test("runs are listed, newest first, by workflow, status and time", async () => {
  const ids = [];
  for (const workflow of ["a", "b", "a", "b"]) {
    clock.now += 1_000;
    ids.unshift(await ended(workflow === "b" ? (record) => R.failed(record, { error, now: clock.now }) : undefined, { workflow }));
  }
  const listed = async (query) => (await ask(query)).body.runs.map(({ id }) => id);
  assert.deepEqual(await listed(""), ids);
  assert.deepEqual(await listed("?workflow=A"), [ids[1], ids[3]]);
  assert.deepEqual(await listed("?status=failed"), [ids[0], ids[2]]);
  assert.deepEqual(await listed("?status=failed,completed&status=queued"), ids);
  assert.deepEqual(await listed(`?since=${clock.now - 1_000}`), ids.slice(0, 2));
  const first = (await ask("?limit=3")).body;
  assert.equal(first.runs.length, 3);
  const second = (await ask(`?limit=3&before=${first.next}`)).body;
  assert.deepEqual([...first.runs, ...second.runs].map(({ id }) => id), ids);
  assert.equal(second.next, null);
  const [run] = first.runs;
  assert.deepEqual(Object.keys(run), ["id", "workflow", "status", "attempt", "createdAt", "startedAt", "endedAt", "dueAt", "priority", "error"]);
  assert.equal(run.error.traceback, "");
});

test("a run that waits is stopped at once, one that is in hand is asked to", async () => {
  const { id, lease } = await started();
  assert.equal((await ask(`/${id}/stop`, { method: "POST" })).body.status, "running");
  assert.equal(await lease.look(), "stopped");
  const waiting = await started();
  await waiting.lease.finish((record) => R.suspended(record, { waits: [], due: clock.now + 1e6 }), { letGo: true });
  assert.equal((await ask(`/${waiting.id}/stop`, { method: "POST" })).body.status, "cancelled");
  const done = await ended();
  assert.equal((await ask(`/${done}/stop`, { method: "POST" })).body.status, "completed");
});

test("a dead letter begins again: its record waits, and its event is sent to the own router", async () => {
  const event = { data: '{"n":12345678901234567890}', chain: ["first", "greet"], priority: 3 };
  const id = await ended((record) => R.failed(record, { error, now: clock.now }), event, [step("a"), { ...step("b"), text: '{"error":{}}' }]);
  const { status, body } = await ask(`/${id}/retry`, { method: "POST", headers: { host: "evil.example" } });
  assert.deepEqual([status, body.status, body.error], [202, "queued", null]);
  const [[url, init]] = sent;
  assert.match(url, /^https:\/\/shop\.example\/\.netlify\/functions\/async-workloads-router\?events=%5B%22greet%22%5D/);
  assert.equal(init.headers.authorization, `Bearer an-older-key`); // the one with a number, as the engine has it
  assert.equal(init.body, `[{"eventName":"greet","eventId":"${id}","data":{"n":12345678901234567890},"priority":3,"eventChain":["first","greet"]}]`);
  assert.deepEqual((await records.read(id)).record.entries.map((each) => each.id), ["a"]);
});

test("only the function of the run's own workflow is sent its event", async () => {
  const id = await ended();
  await ask(`/${id}/retry`, { method: "POST", homes: { greet: "kit-workflows-blobs" } });
  assert.equal(JSON.parse(sent[0][1].body)[0].fnName, "kit-workflows-blobs");
  const other = await ended();
  await ask(`/${other}/retry`, { method: "POST", homes: { another: "kit-workflows-blobs" } });
  assert.ok(!("fnName" in JSON.parse(sent[1][1].body)[0]));
});

test("from the start means without any step", async () => {
  const id = await ended(undefined, {}, [step("a")]);
  await ask(`/${id}/retry`, { method: "POST", body: '{"fromStart":true}' });
  assert.deepEqual((await records.read(id)).record.entries, []);
});

test("a run whose event could not be sent waits, and can be asked for once more", async () => {
  const id = await ended((record) => R.failed(record, { error, now: clock.now }));
  router = () => new Response(null, { status: 404 });
  await listening(async () => {
    const { status, code, body } = await ask(`/${id}/retry`, { method: "POST" });
    assert.deepEqual([status, code], [502, "NOT_WOKEN"]);
    assert.match(body.error.message, /the router answered 404/);
  });
  router = () => new Response("ack", { headers: { "x-awl-ack": "ack" } });
  assert.equal((await ask(`/${id}/retry`, { method: "POST" })).status, 202);
  assert.equal(sent.length, 2);
});

test("what has not ended is neither begun again nor deleted", async () => {
  const { id, lease } = await started();
  for (const [path, method] of [[`/${id}/retry`, "POST"], [`/${id}`, "DELETE"]]) {
    assert.equal((await ask(path, { method })).code, "RUN_NOT_ENDED");
  }
  await lease.finish((record) => R.suspended(record, { waits: [], due: clock.now + 1e6 }), { letGo: true });
  assert.equal((await ask(`/${id}/retry`, { method: "POST" })).code, "RUN_NOT_ENDED");
  assert.deepEqual(sent, []);
});

test("a run that nobody has in hand though it is due is woken", async () => {
  const { id } = await started();
  clock.now += 30_000;
  assert.equal((await ask(`/${id}/retry`, { method: "POST" })).status, 202);
  assert.equal(sent.length, 1);
});

test("an ended run is deleted, and is not there any more", async () => {
  const id = await ended();
  assert.deepEqual((await ask(`/${id}`, { method: "DELETE" })).body, { deleted: [id] });
  for (const [path, method] of [["", "GET"], ["/result", "GET"], ["/stop", "POST"], ["/retry", "POST"], ["", "DELETE"]]) {
    const { status, code } = await ask(`/${id}${path}`, { method });
    assert.deepEqual([status, code], [404, "RUN_NOT_FOUND"]);
  }
  assert.deepEqual((await ask()).body.runs, []);
});

test("a damaged record is said to be so, stops no list, and can be deleted; that of a later version cannot", async () => {
  const [fine, damaged, newer] = [await ended(), await ended(), await ended()];
  for (const [id, text] of [[damaged, "{"], [newer, '{"v":2}']]) {
    const { etag } = await records.read(id);
    await makeBlobs().swap(R.keyOf(id), text, etag);
  }
  await listening(async () => {
    for (const [id, advice] of [[damaged, /It can be deleted$/], [newer, /Deploy that version again$/]]) {
      for (const [path, method] of [["", "GET"], ["/result", "GET"], ["/stop", "POST"], ["/retry", "POST"]]) {
        const { status, code, body } = await ask(`/${id}${path}`, { method });
        assert.deepEqual([status, code], [500, "RECORD_DAMAGED"]);
        assert.match(body.error.message, advice);
      }
    }
    assert.equal((await ask(`/${newer}`, { method: "DELETE" })).code, "RECORD_DAMAGED");
  });
  assert.deepEqual((await ask()).body.runs.map(({ id }) => id), [fine]);
  assert.deepEqual((await ask(`/${damaged}`, { method: "DELETE" })).body, { deleted: [damaged] });
  assert.equal((await ask(`/${damaged}`)).code, "RUN_NOT_FOUND");
});

test("a run that is deleted while it is to be stopped or retried is not there any more", async () => {
  for (const path of ["stop", "retry"]) {
    const { id, lease } = await started();
    const { change } = records;
    const finished = () => lease.finish((record) => R.completed(record, { result: "1", now: clock.now }));
    if (path === "retry") await finished();
    records.change = async (known, decide) => {
      records.change = change;
      if (path === "stop") await finished();
      await records.remove(await records.read(id));
      return records.change(known, decide);
    };
    assert.equal((await ask(`/${id}/${path}`, { method: "POST" })).code, "RUN_NOT_FOUND");
    assert.ok(R.isTombstone((await records.read(id)).record));
  }
  assert.deepEqual(sent, []);
});

test("nobody without the key learns anything", async () => {
  const id = await ended();
  const before = server.log.length;
  for (const key of [null, "", "wrong", `${KEY}x`, KEY.slice(1), `${KEY} extra`, KEY.toUpperCase()]) {
    for (const [path, method] of [["", "GET"], [`/${id}`, "GET"], [`/${id}`, "DELETE"], [`/${id}/stop`, "POST"], ["/x", "PATCH"]]) {
      const { status, code } = await ask(path, { method, key });
      assert.deepEqual([status, code], [401, "UNAUTHORIZED"]);
    }
  }
  for (const headers of [{ authorization: KEY }, { authorization: `Basic bearer ${KEY}` }, { "x-api-key": KEY }]) {
    assert.equal((await ask("", { key: null, headers })).status, 401);
  }
  assert.equal(server.log.length, before);
});

test("every key of the site opens, and none is no key", async () => {
  assert.equal((await ask("", { key: "an-older-key" })).status, 200);
  for (const env of [{}, { AWL_API_KEY: "" }, { AWL_API_KEYS: KEY, MY_AWL_API_KEY: KEY }]) {
    for (const key of [KEY, "", null]) assert.equal((await ask("", { env, key })).code, "NO_API_KEY");
  }
  assert.deepEqual(keysIn({ AWL_API_KEY: "0", AWL_API_KEY_P2: "2", AWL_API_KEY_P10: "10", AWL_API_KEY_P3: "" }), ["10", "2", "0"]);
  assert.equal(isKnown("bearer  k", ["k"]), true);
  assert.equal(isKnown("Bearer k", []), false);
});

test("pages of other sites are refused, whatever they know", async () => {
  for (const headers of [{ origin: "https://evil.example" }, { origin: "null" }, { "sec-fetch-site": "cross-site" }]) {
    const { status, code } = await ask("", { headers });
    assert.deepEqual([status, code], [403, "FOREIGN_ORIGIN"]);
  }
  assert.equal((await ask("", { headers: { origin: "https://shop.example" } })).status, 200);
  assert.equal((await ask("", { method: "OPTIONS", headers: { origin: "https://evil.example" } })).status, 403);
});

test("ids that are none are refused as JSON, and touch nothing", async () => {
  const id = randomUUID();
  const hostile = ["..%2f..%2fx", "%2e%2e%2fx", "x%00", "a".repeat(10_000), `${id}%3f`, `${id}%23`, "*", "runs", "%", id.replace(/^./, "é")];
  for (const bad of hostile) {
    const { status, code } = await ask(`/${bad}`);
    assert.deepEqual([status, code], [400, "INVALID_ID"], bad);
  }
  for (const path of ["/../kit-runsx", "/../../../etc", "x", `/${id}/result/x`, `/${id}/nothing`]) {
    assert.equal((await ask(path)).code, "NOT_FOUND", path);
  }
  assert.equal((await ask(`/${id}?x=#y`)).code, "RUN_NOT_FOUND");
  assert.deepEqual(server.contents(STORE), {});
});

test("questions that make no sense are answered with what would", async () => {
  const bad = ["?limit=0", "?limit=101", "?limit=x", "?limit=1e2", "?status=done", "?since=-1", "?before=yesterday", "?workfow=a", `?${"x".repeat(5_000)}=1`];
  for (const query of bad) {
    const { status, code, text } = await ask(query);
    assert.deepEqual([status, code], [400, "INVALID_QUERY"], query);
    assert.ok(text.length < 300);
  }
});

test("methods and bodies that do not fit are refused", async () => {
  const id = await ended();
  for (const [path, method] of [["", "POST"], [`/${id}`, "PUT"], [`/${id}/result`, "POST"], [`/${id}/stop`, "GET"], [`/${id}/retry`, "GET"], [`/${id}/stop`, "OPTIONS"]]) {
    assert.equal((await ask(path, { method })).code, "METHOD_NOT_ALLOWED", `${method} ${path}`);
  }
  for (const body of ["[]", "1", "{", '"x"', "null"]) {
    assert.equal((await ask(`/${id}/retry`, { method: "POST", body })).code, "INVALID_BODY", body);
  }
  assert.equal((await ask(`/${id}/retry`, { method: "POST", body: '{"fromStart":"yes"}' })).code, "INVALID_BODY");
  assert.equal((await ask(`/${id}/retry`, { method: "POST", body: "x".repeat(10_001) })).code, "BODY_TOO_LARGE");
  const signal = await ask(`/${id}/signal`, { method: "POST" });
  assert.deepEqual([signal.status, signal.code], [501, "NOT_SUPPORTED_SIGNAL"]);
  assert.equal((await records.read(id)).record.status, "completed");
});

test("a store that cannot be reached is said to be so, and no key is in the words", async () => {
  server.spoil({ do: "denied", times: 1_000 });
  const said = await listening(async () => {
    const { status, code, text } = await ask(`/${randomUUID()}`);
    assert.deepEqual([status, code], [503, "STORE_UNAVAILABLE"]);
    assert.doesNotMatch(text, new RegExp(KEY));
  });
  assert.doesNotMatch(JSON.stringify(said), new RegExp(KEY));
});

test("the key goes to the site's own address only", () => {
  const host = { deploy: { context: "production" }, url: new URL("https://evil.example") };
  assert.equal(originOf(host, environ), "https://shop.example");
  assert.equal(originOf({ ...host, site: { url: "https://www.shop.example/x" } }, environ), "https://www.shop.example");
  const preview = { deploy: { context: "deploy-preview", id: "d1" }, site: { name: "shop", url: "https://shop.example" } };
  assert.equal(originOf(preview, environ), "https://d1--shop.netlify.app");
  assert.equal(originOf(preview, { ...environ, DEPLOY_URL: "https://d1.example" }), "https://d1.example");
  assert.equal(originOf(undefined, {}), null);
});

test("JSON around raw texts is what JSON.stringify makes", () => {
  const value = { a: [1, "é\n", null, undefined, { b: true }], c: undefined, "d\"": new Date(0).toISOString(), e: {} };
  assert.equal(toJson(value), JSON.stringify(value));
  assert.equal(toJson([new Raw("1.0")]), "[1.0]");
});
