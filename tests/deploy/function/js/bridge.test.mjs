import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { bridgeOf } from "../../../../kit/deploy/function/runtime/bridge.mjs";
import { http } from "../../../../kit/deploy/function/runtime/http.mjs";
import { workflow } from "../../../../kit/deploy/function/runtime/workflow.mjs";
import { listening, makeAsk, makeBundle } from "./site.mjs";

const bundles = [];
const bundleWith = (manifest) => bundles.push(makeBundle(manifest)) && bundles.at(-1);
after(() => bundles.forEach((each) => each.remove()));
const runtime = fileURLToPath(new URL("../../../../kit/deploy/function/runtime/", import.meta.url));

/** Whether a process is gone, or only waits for its parent to notice. */
function hasEnded(pid) {
  try {
    return /^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return true;
  }
}

/** What stands in for the library: hands the workload a request, and keeps what it makes of it. */
class ErrorDoNotRetry extends Error {}
class ErrorRetryAfterDelay extends Error {
  constructor({ message, ...rest }) {
    super(message);
    Object.assign(this, rest);
  }
}
const asyncWorkloadFn = (work) => async (request) => {
  const [{ eventName, eventId }] = await request.json();
  const stored = [];
  const run = async (id, make) => stored.push([id, await make()]);
  const sleep = async (id, ms) => stored.push([id, ms]);
  try {
    await work({ eventName, eventId, request, step: { run, sleep } });
    return { stored };
  } catch (error) {
    return { error };
  }
};
const library = { asyncWorkloadFn, ErrorDoNotRetry, ErrorRetryAfterDelay };
const eventId = "11111111-1111-4111-8111-111111111111";

function deliver(bundle, eventName, more = {}, url = "https://shop.example/.netlify/functions/w") {
  const handle = workflow(async () => library, { metaUrl: bundle.metaUrl });
  const body = JSON.stringify([{ eventName, eventId, data: {}, ...more }]);
  return handle(new Request(url, { method: "POST", body }), {});
}

const workflows = Object.fromEntries(
  ["sequence", "failing", "final", "later", "quick"].map((name) => [name, `functions/workflows/${name}.py`]),
);

test("an event goes in, checkpoints come out", async () => {
  const bundle = bundleWith({ workflows });
  assert.deepEqual(await deliver(bundle, "sequence"), { stored: [["one", '{"sequence":0,"value":1}']] });
  const stepResults = [{ stepId: "one", stepResult: JSON.stringify('{"value":1}') }];
  const [[id, ms], ...more] = (await deliver(bundle, "SEQUENCE", { stepResults })).stored;
  assert.deepEqual([id, more], ["nap", []]);
  assert.ok(ms > 20_000 && ms <= 30_000, String(ms)); // what is left of it when it is handed over
});

test("failures are the library's own kinds of error, with Python's traceback", async () => {
  const bundle = bundleWith({ workflows });
  const later = await deliver(bundle, "later", { data: { delay: "2 minutes" } });
  assert.ok(later.error instanceof ErrorRetryAfterDelay);
  assert.deepEqual([later.error.retryDelay, later.error.forceDelayTime], [120_000, true]);
  const final = await deliver(bundle, "final");
  assert.ok(final.error instanceof ErrorDoNotRetry);
  assert.match(final.error.stack, /^\[1111[^\]]*\] Traceback[^]*final\.py[^]*there is no use$/);
  const stepResults = [{ stepId: "kept", stepResult: '"{\\"value\\":1}"' }];
  const planned = await deliver(bundle, "failing", { stepResults, attemptContext: { nextDelayTime: 3_000 } });
  assert.equal(planned.error.constructor, Error);
  const otherwise = await deliver(bundle, "failing", { stepResults, attemptContext: { nextDelayTime: 2_000 } });
  assert.equal(otherwise.error.retryDelay, 3_000);
});

test("an event that is nested too deeply is refused for good, at once, and Python goes on", async () => {
  const bundle = bundleWith({ workflows });
  await deliver(bundle, "quick");
  for (const depth of [3_000, 100_000]) {
    const handle = workflow(async () => library, { metaUrl: bundle.metaUrl });
    const body = `[{"eventName":"quick","eventId":"${eventId}","data":${"[".repeat(depth)}${"]".repeat(depth)}}]`;
    const request = new Request("https://shop.example/.netlify/functions/w", { method: "POST", body });
    const { error } = await handle(request, {});
    assert.ok(error instanceof ErrorDoNotRetry, String(depth));
    assert.match(error.message, /nested more than 256 deep|no JSON/);
  }
  assert.deepEqual(await deliver(bundle, "quick"), { stored: [] });
});

test("a workflow the bundle has not is told, with those it has", async () => {
  const { error } = await deliver(bundleWith({ workflows: { quick: workflows.quick } }), "sequence");
  assert.match(error.message, /no workflow 'sequence'; it has: quick/);
});

test("without a bundle the attempt fails, not the request: that would cost the run its steps", async () => {
  const { error } = await deliver({ metaUrl: "file:///nowhere/at/all/entry.mjs" }, "quick");
  assert.match(error.message, /no Python bundle.*kit build.*nowhere/);
});

test("a Python that cannot be started is told", async () => {
  const { error } = await deliver(bundleWith({ python: "/nowhere/python3" }), "quick");
  assert.match(error.message, /the workflow quick: Python could not be started: .*ENOENT/);
});

test("a Python that ends at once is told with its last words, and another is tried", async () => {
  const bundle = bundleWith({ paths: [], python: "/usr/bin/env" }); // env does not know the flags
  for (let times = 0; times < 2; times += 1) {
    let answer;
    await listening(async () => (answer = await deliver(bundle, "quick")));
    assert.match(answer.error.message, /Python ended with exit status \d+\. It said last:\n.*env: /);
  }
});

test("what writes to the kit's own descriptor ends Python, and says so", async () => {
  const bundle = bundleWith();
  let response;
  const said = await listening(async () => (response = await makeAsk(bundle)("methods?what=descriptor")));
  assert.equal(response.status, 500);
  assert.match(said.at(-1)[1], /Python ended by SIGKILL, since something wrote to descriptor 3/);
});

/** Do something for which Node keeps to its own limit a hundred times as long: however slow Python is, it has time to stop. */
async function unhurried(limit, act) {
  const { setTimeout } = globalThis;
  globalThis.setTimeout = (work, ms, ...rest) => setTimeout(work, ms === limit ? 100 * ms : ms, ...rest);
  try {
    return await act();
  } finally {
    globalThis.setTimeout = setTimeout;
  }
}

test("a request that takes too long is 504, whether Python can stop it or Node must", async () => {
  const bundle = bundleWith();
  const limit = 1_000;
  const slow = http({ name: "methods", metaUrl: bundle.metaUrl, limit });
  const call = (what) => slow(new Request(`https://shop.example/api/methods?what=${what}`), {});
  const pid = async () => Number(await (await makeAsk(bundle)("methods?what=pid")).text());
  for (const [what, reason, wait] of [
    ["sleeps", /GET \/api\/methods\nthe function was cut off after 0\.8 s, its limit/, (act) => unhurried(limit, act)],
    ["blocks", /the function methods was cut off after 1 s, the limit of its function, and did not stop/, (act) => act()],
  ]) {
    const before = await pid();
    let response;
    const said = await listening(() =>
      wait(async () => {
        response = await call(what);
        await response.text(); // ends when the call does
      }),
    );
    assert.equal(response.status, 504);
    assert.match(said.at(-1)[1], reason);
    assert.notEqual(await pid(), before); // what was cut off may not have stopped
  }
});

test("a process that is spent finishes what else it does", async () => {
  const bundle = bundleWith();
  const limit = 800;
  const short = http({ name: "methods", metaUrl: bundle.metaUrl, limit });
  const ask = makeAsk(bundle);
  await ask("methods");
  let answers;
  await listening(() =>
    unhurried(limit, async () => {
      const cut = short(new Request("https://shop.example/api/methods?what=sleeps"), {});
      await pause(500);
      answers = await Promise.all([ask("methods?what=slow"), cut]);
    }),
  );
  assert.deepEqual(answers.map((each) => each.status), [200, 504]);
});

test("one Python serves all functions of a bundle, and starts with the first call", async () => {
  const bundle = bundleWith({ workflows });
  assert.equal(bridgeOf(bundle.metaUrl), bridgeOf(new URL("other.mjs", bundle.metaUrl).href));
  const pids = [];
  for (let times = 0; times < 3; times += 1) pids.push(await (await makeAsk(bundle)("methods?what=pid")).text());
  assert.equal(new Set(pids).size, 1);
});

test("nothing starts at import, and Node ends by itself while Python waits", () => {
  const bundle = bundleWith();
  const script = `
    import { http } from "${runtime}http.mjs";
    const call = http({ name: "methods", metaUrl: "${bundle.metaUrl}" });
    const { readFileSync } = await import("node:fs");
    const children = () => readFileSync("/proc/self/task/" + process.pid + "/children", "utf8").trim();
    const before = children();
    const response = await call(new Request("https://shop.example/api/methods?what=pid"), {});
    console.log(JSON.stringify({ before, pid: await response.text(), now: children() }));`;
  const done = spawnSync(process.execPath, ["--input-type=module", "-e", script], { timeout: 200_000, encoding: "utf8" });
  const { before, pid, now } = JSON.parse(done.stdout);
  assert.deepEqual([before, now, done.status], ["", pid, 0]);
  assert.ok(hasEnded(pid));
});

test("a bundle is found by a variable, from the entry upward, or in the task's root", async () => {
  const bundle = bundleWith();
  const folder = fileURLToPath(new URL("../.kit/bundle", bundle.metaUrl));
  const elsewhere = (number) => `file:///elsewhere/${number}/entry.mjs`;
  process.env.KIT_BUNDLE = folder;
  assert.equal(bridgeOf(elsewhere(1)), bridgeOf(bundle.metaUrl));
  delete process.env.KIT_BUNDLE;
  process.env.LAMBDA_TASK_ROOT = fileURLToPath(new URL("..", bundle.metaUrl));
  assert.equal(bridgeOf(elsewhere(2)), bridgeOf(bundle.metaUrl));
  delete process.env.LAMBDA_TASK_ROOT;
  assert.throws(() => bridgeOf(elsewhere(3)), /no Python bundle/);
});
