import assert from "node:assert/strict";
import { after, beforeEach, mock, test } from "node:test";

import { look } from "../../../../kit/deploy/function/runtime/durable.mjs";
import * as R from "../../../../kit/deploy/function/runtime/record.mjs";
import { Records } from "../../../../kit/deploy/function/runtime/records.mjs";
import { STORE, eventOf, makeStore, step } from "./store.mjs";
import { listening } from "./site.mjs";

const { server, close, clock, records, makeBlobs } = await makeStore();
const blobs = makeBlobs();
after(close);
beforeEach(() => server.clear());

const workflow = { name: "greet", maxRetries: 2, backoff: [3_000, 9_000], timeout: null };
const error = { type: "ValueError", message: "no", traceback: "" };
const ends = { completed: (result = "1") => ({ type: "completed", result, entries: [], forget: [] }) };
const sleeping = (ms, more = {}) => ({
  type: "suspended",
  entries: [],
  forget: [],
  sleeps: [{ id: "nap", kind: "sleep", due: clock.now + ms }],
  ...more,
});
const failing = (more) => ({ type: "failed", final: false, error, entries: [], forget: [], ...more });

/** What stands in for Python: `play` is given what it is told, and ways to commit and to hear. */
function python(play) {
  const invoked = [];
  const invoke = (frame, { receive }) => {
    invoked.push(frame);
    const waiting = new Map();
    const heard = [];
    let stop;
    const stopped = new Promise((resolve) => (stop = resolve));
    let commits = 0;
    const commit = (entries, forget = []) =>
      new Promise((resolve) => {
        waiting.set((commits += 1), resolve);
        receive({ type: "commit", commit: commits, entries, forget });
      });
    play({ frame, commit, heard, stopped, number: invoked.length }).then(receive);
    return (more) => {
      heard.push(more.type === "stop" ? more.why : more.type);
      if (more.type === "stop") stop(more.why);
      waiting.get(more.commit)?.(more.type);
    };
  };
  return { invoke, invoked };
}

const go = (event, invoke, more = {}) =>
  look(records, event, { ...workflow, ...more.workflow }, { limit: 26_000, code: "d1", invoke, how: { look: 20 }, ...more });
const recordOf = async ({ id }) => (await records.read(id)).record;
const idsOf = ({ entries }) => entries.map(({ id }) => id);

test("ten steps are one invocation, and the result is in the record", async () => {
  const event = eventOf();
  const { invoke, invoked } = python(async ({ commit }) => {
    for (let i = 0; i < 10; i += 1) assert.equal(await commit([step(`s${i}`)]), "ack");
    return ends.completed('{"n":1.0}');
  });
  assert.deepEqual(await go(event, invoke), {});
  const record = await recordOf(event);
  assert.deepEqual([record.status, record.result, record.code, record.owner, invoked.length], ["completed", '{"n":1.0}', "d1", null, 1]);
  assert.deepEqual(invoked[0].event, { eventName: "greet", eventId: event.id, data: { to: "you" }, priority: 0, eventChain: ["greet"] });
});

test("a sleep of a moment is waited for in place; what is done is there when it goes on", async () => {
  const event = eventOf();
  const { invoke, invoked } = python(async ({ commit, number }) => {
    if (number === 2) return ends.completed();
    await commit([step("a")]);
    setTimeout(() => (clock.now += 100), 60);
    return sleeping(100, { entries: [step("b")] });
  });
  assert.deepEqual(await go(event, invoke), {});
  assert.deepEqual(invoked[1].run.checkpoints.map(({ id }) => id), ["a", "b"]);
  assert.equal(invoked[1].run.asleep[0].id, "nap");
  assert.equal((await recordOf(event)).status, "completed");
});

test("a longer sleep lets go of the run, and asks to be woken", async () => {
  const event = eventOf();
  const { invoke } = python(async ({ number }) => (number === 1 ? sleeping(600_000) : ends.completed()));
  assert.deepEqual(await go(event, invoke), { until: clock.now + 600_000 });
  const record = await recordOf(event);
  assert.deepEqual([record.status, record.due, record.owner], ["sleeping", clock.now + 600_000, null]);
  const early = await go(event, invoke);
  assert.deepEqual(early, { until: clock.now + 600_000, isOthers: true });
  clock.now += 600_000;
  assert.deepEqual(await go(event, invoke), {});
});

test("what has slept has slept: not again after a failed attempt, nor after a stop or a dead letter and a retry", async () => {
  for (const how of ["failed once", "dead", "stopped"]) {
    const event = eventOf();
    const { invoke, invoked } = python(async ({ number }) => {
      if (number === 1) return sleeping(600_000);
      return number === 2 && how !== "stopped" ? failing({ final: how === "dead" }) : ends.completed();
    });
    await go(event, invoke);
    const { waits, due } = await recordOf(event);
    const read = () => records.read(event.id);
    if (how === "stopped") await records.change(await read(), (record) => R.stopped(record, { now: clock.now }));
    clock.now = due;
    if (how !== "stopped") await go(event, invoke, { limit: 9_000 });
    if (how !== "failed once") await records.change(await read(), (record) => R.retried(record, { now: clock.now }));
    clock.now += 3_000;
    await go(event, invoke);
    assert.deepEqual(invoked.at(-1).run.asleep, waits, how);
    await records.change({ ...(await read()) }, (record) => R.cancelled(record, { now: clock.now }));
    assert.deepEqual(R.retried((await read()).record, { now: clock.now, fromStart: true }).waits, []);
  }
});

test("branches that go on beside a sleep are not kept waiting", async () => {
  const event = eventOf();
  const { invoke, invoked } = python(async ({ number }) => (number === 1 ? sleeping(600_000, { goesOn: true }) : ends.completed()));
  assert.deepEqual(await go(event, invoke), {});
  assert.equal(invoked[1].run.asleep[0].due, clock.now + 600_000);
});

test("the attempts are the kit's own, with their errors; the last is a dead letter", async () => {
  const event = eventOf();
  const { invoke, invoked } = python(async () => failing());
  for (const wait of [3_000, 9_000]) {
    const { until } = await go(event, invoke, { limit: 9_000 });
    assert.equal(until, clock.now + wait);
    clock.now += wait;
  }
  assert.deepEqual(await go(event, invoke, { limit: 9_000 }), { dead: error });
  const record = await recordOf(event);
  assert.deepEqual(record.attempts.map(({ number, retryIn }) => [number, retryIn]), [[0, 3_000], [1, 9_000], [2, null]]);
  assert.deepEqual([record.status, record.error.type, invoked.map(({ run }) => run.attempt)], ["failed", "ValueError", [0, 1, 2]]);
  assert.deepEqual(await go(event, invoke), {}); // a late delivery
});

test("what Python says of a retry holds: its wait, what is to be forgotten, that it is final", async () => {
  const event = eventOf();
  const { invoke } = python(async ({ commit, number }) => {
    if (number === 2) return failing({ final: true });
    await commit([step("kept"), step("bad")]);
    return failing({ retryIn: 3_600_000, entries: [step("sibling")], forget: ["bad"] });
  });
  assert.deepEqual(await go(event, invoke), { until: clock.now + 3_600_000 });
  assert.deepEqual(idsOf(await recordOf(event)), ["kept", "sibling"]);
  clock.now += 3_600_000;
  assert.deepEqual(await go(event, invoke), { dead: error });
});

test("a failure that is a suspension counts as an attempt", async () => {
  const event = eventOf();
  const { invoke } = python(async () => sleeping(90_000, { error, entries: [step("a")] }));
  assert.deepEqual(await go(event, invoke), { until: clock.now + 90_000 });
  const record = await recordOf(event);
  assert.deepEqual([record.status, record.attempt, record.attempts.length, record.waits, idsOf(record)], ["queued", 1, 1, [], ["a"]]);
});

for (const [name, act] of [
  ["a long step", async ({ stopped }) => stopped],
  ["a sleep in place", async ({ number }) => assert.equal(number, 1)],
]) {
  test(`a stop is heard in ${name}`, async () => {
    const event = eventOf();
    const { invoke } = python(async (about) => {
      const asked = async () => records.change(await records.read(event.id), (record) => R.stopped(record, { now: clock.now }));
      setTimeout(asked, 30);
      await act(about);
      return sleeping(8_000, { entries: [step("a")] });
    });
    assert.deepEqual(await go(event, invoke), {}); // else it would be run again once it has slept
    const record = await recordOf(event);
    assert.deepEqual([record.status, idsOf(record), record.owner], ["cancelled", ["a"], null]);
  });
}

test("a stop is told with the next commit, and who has completed has completed", async () => {
  for (const status of ["cancelled", "completed"]) {
    const event = eventOf();
    const { invoke } = python(async ({ commit }) => {
      await records.change(await records.read(event.id), (record) => R.stopped(record, { now: clock.now }));
      assert.equal(await commit([step("a")]), "stopped");
      return status === "completed" ? ends.completed() : failing();
    });
    assert.deepEqual(await go(event, invoke, { how: { look: 60_000 } }), {});
    assert.equal((await recordOf(event)).status, status);
  }
});

test("a timeout takes effect in a long step, at a commit, and while it sleeps", async () => {
  const timed = { ...workflow, timeout: 5_000 };
  const [inStep, atCommit, asleep] = [eventOf(), eventOf(), eventOf()];
  const long = python(async ({ stopped }) => {
    setTimeout(() => (clock.now += 5_000), 20);
    assert.equal(await stopped, "timed-out");
    return failing();
  });
  assert.equal((await go(inStep, long.invoke, { workflow: timed })).dead.code, "RUN_TIMED_OUT");
  const commits = python(async ({ commit }) => {
    clock.now += 5_000;
    assert.equal(await commit([step("a")]), "timed-out");
    return failing();
  });
  assert.equal((await go(atCommit, commits.invoke, { workflow: timed, how: { look: 60_000 } })).dead.code, "RUN_TIMED_OUT");
  const sleeper = python(async () => sleeping(600_000));
  assert.deepEqual(await go(asleep, sleeper.invoke, { workflow: timed }), { until: clock.now + 5_000 });
  clock.now += 5_000;
  assert.deepEqual(await go(asleep, sleeper.invoke, { workflow: timed }), {});
  for (const event of [inStep, atCommit, asleep]) assert.equal((await recordOf(event)).error.code, "RUN_TIMED_OUT");
});

test("who has lost the lease is told so, and writes nothing", async () => {
  const event = eventOf();
  const { invoke } = python(async ({ commit, heard, number }) => {
    if (number === 2) return ends.completed('"the other"');
    clock.now += 60_000;
    await go(event, invoke);
    assert.equal(await commit([step("late")]), "lost");
    assert.ok(heard.includes("lost"));
    return ends.completed('"too late"');
  });
  assert.deepEqual(await go(event, invoke, { how: { look: 60_000 } }), {});
  const record = await recordOf(event);
  assert.deepEqual([record.result, idsOf(record)], ['"the other"', []]);
});

test("a second delivery comes again when the first must be over", async () => {
  const event = eventOf();
  const { invoke, invoked } = python(async () => {
    assert.deepEqual(await go(event, invoke), { until: clock.now + 28_000, isOthers: true });
    return ends.completed();
  });
  await go(event, invoke);
  assert.equal(invoked.length, 1);
});

test("a store that fails ends the invocation, and the run goes on when somebody comes again", async () => {
  const event = eventOf();
  const { invoke, invoked } = python(async ({ commit, number }) => {
    if (number === 2) return ends.completed();
    await commit([step("a")]);
    server.spoil({ op: "PUT", do: "denied" });
    assert.equal(await commit([step("b")]), "unstored");
    return failing();
  });
  await assert.rejects(go(event, invoke), { name: "StoreError", status: 401 });
  assert.equal((await recordOf(event)).owner, null); // who comes next need not wait for the lease to end
  assert.deepEqual(await go(event, invoke), {});
  assert.deepEqual(invoked[1].run.checkpoints.map(({ id }) => id), ["a"]);
  assert.deepEqual((await recordOf(event)).attempts, []);
});

test("while a store cannot be reached at all, the lease ends by itself", async () => {
  const event = eventOf();
  const { invoke } = python(async ({ commit, number }) => {
    if (number === 2) return ends.completed();
    server.spoil({ do: "denied", times: 3 });
    assert.equal(await commit([step("a")]), "unstored");
    return failing();
  });
  await assert.rejects(go(event, invoke, { how: { look: 60_000 } }), { status: 401 });
  server.rules.length = 0;
  assert.deepEqual(await go(event, invoke), { until: clock.now + 28_000, isOthers: true });
  clock.now += 28_000;
  assert.deepEqual(await go(event, invoke), {});
});

test("a run whose parts are missing or damaged has failed, and says why", async () => {
  for (const spoil of [(blobs, key) => blobs.remove(key), (blobs, key, { etag }) => blobs.swap(key, "{", etag)]) {
    const event = eventOf();
    const { invoke } = python(async ({ commit, number }) => {
      assert.equal(number, 1);
      for (let i = 0; i < 50; i += 1) await commit([step(`s${i}`, "x".repeat(1_000))]);
      return sleeping(600_000);
    });
    await go(event, invoke);
    const { key } = (await recordOf(event)).segments[0];
    await spoil(blobs, key, await blobs.read(key));
    clock.now += 600_000;
    const { dead } = await go(event, invoke);
    assert.equal(dead.code, "RECORD_DAMAGED");
    const { status, error } = await recordOf(event);
    assert.deepEqual([status, error.code], ["failed", "RECORD_DAMAGED"]);
    assert.match(error.message, new RegExp(key));
  }
});

/** Turn the loop until something holds; timers stand still meanwhile. */
async function until(holds) {
  const limit = performance.now() + 100_000;
  while (!holds() && performance.now() < limit) await new Promise(setImmediate);
}

test("a stop is heard three seconds after the last write at most, a timeout at its very moment", async () => {
  for (const [timeout, written, wait, why] of [[null, 0, 3_000, "stopped"], [null, 2_999, 3_000, "stopped"], [5_000, 0, 5_000, "timed-out"]]) {
    const event = eventOf();
    let [heard, isWritten, write] = [null, false];
    const { invoke, invoked } = python(async ({ commit, stopped }) => {
      await new Promise((resolve) => (write = resolve));
      if (written) await commit([step("a")]);
      isWritten = true;
      heard = await stopped;
      return failing();
    });
    const pass = (ms) => {
      clock.now += ms;
      mock.timers.tick(ms);
    };
    mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
    try {
      const how = { clock: { now: () => clock.now } };
      const going = look(records, event, { ...workflow, timeout }, { limit: 26_000, code: "d1", invoke, how });
      await until(() => invoked.length);
      pass(written);
      write();
      await until(() => isWritten);
      const known = await records.read(event.id);
      if (!timeout) await records.change(known, (record) => R.stopped(record, { now: clock.now }));
      pass(wait - 1);
      await records.read(event.id); // time enough for one that was too early
      assert.equal(heard, null);
      pass(1);
      await until(() => heard);
      assert.equal(heard, why);
      await going;
    } finally {
      mock.timers.reset();
    }
    assert.equal((await recordOf(event)).status, timeout ? "failed" : "cancelled");
  }
});

test("clocks of two functions that differ by minutes: nothing is lost, and who has lost the run writes no more", async () => {
  for (const ahead of [300_000, -300_000]) {
    const event = eventOf();
    const other = new Records(blobs, { now: () => clock.now + ahead });
    const there = (invoke) => look(other, event, workflow, { limit: 26_000, code: "d1", invoke, how: { look: 60_000 } });
    const ran = [];
    const { invoke } = python(async ({ frame, commit, number }) => {
      const known = new Set(frame.run.checkpoints.map(({ id }) => id));
      for (const id of ["a", "b", "c"]) {
        if (known.has(id)) continue;
        ran.push(id);
        if (number === 1 && id === "b") await there(invoke);
        if ((await commit([step(id)])) !== "ack") return failing();
      }
      return ends.completed(`${number}`);
    });
    await go(event, invoke, { how: { look: 60_000 } });
    const record = await recordOf(event);
    // one that is ahead takes the lease for over, and goes on; to one that is behind it is far from it
    const expected = ahead > 0 ? ["2", ["a", "b", "b", "c"]] : ["1", ["a", "b", "c"]];
    assert.deepEqual([record.result, ran], expected);
    assert.deepEqual([record.status, idsOf(record)], ["completed", ["a", "b", "c"]]);
  }
});

test("a look that fails is noted, and does no harm", async () => {
  const event = eventOf();
  const { invoke } = python(async () => {
    server.spoil({ op: "GET", do: "denied", times: 2 });
    const { error } = console;
    await new Promise((looked) => (console.error = (...args) => looked(error(...args))));
    return ends.completed();
  });
  const said = await listening(async () => assert.deepEqual(await go(event, invoke), {}));
  assert.match(JSON.stringify(said), /refused \(401\)/);
});

test("when the time is used up, the run goes on in another invocation", async () => {
  const event = eventOf();
  const { invoke } = python(async ({ commit }) => {
    await commit([step("a")]);
    return { type: "suspended", entries: [], forget: [], sleeps: [] };
  });
  assert.deepEqual(await go(event, invoke, { limit: 9_000 }), { goesOn: true });
  const record = await recordOf(event);
  assert.deepEqual([record.status, record.owner, record.due <= clock.now], ["queued", null, true]);
});

test("nothing of a run that sleeps is written by those who come too early", async () => {
  const event = eventOf();
  await go(event, python(async () => sleeping(600_000)).invoke);
  const before = server.contents(STORE);
  await go(event, python(async () => assert.fail("it was run")).invoke);
  assert.deepEqual(server.contents(STORE), before);
});
