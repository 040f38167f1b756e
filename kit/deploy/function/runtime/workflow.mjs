// A Python workflow as a workload of Async Workloads: an event goes in, its outcome is told to the
// library. No step of the library's is called for what a checkpoint answers: Python has it.

import { inspect } from "node:util";

import { bridgeOf } from "./bridge.mjs";

const LIBRARY_LIMIT = 26_500; // ms the library waits for a workload, of which some are ours
const BACKGROUND_LIMIT = 899_500;
const MARGIN = 500;

/** Return the function of an entry. `load` imports @netlify/async-workloads. */
export function workflow(load, { metaUrl }) {
  const arrived = new WeakMap(); // what came with a request; the library keeps most to itself
  return workload(load, {
    metaUrl,
    arrive: (request, context) => arrived.set(request, { copy: request.clone(), context }),
    make: (library) => async (event) => {
      const { copy, context } = arrived.get(event.request);
      const [item] = await copy.json();
      const frame = { type: "invoke", workflow: event.eventName, event: item };
      const request = event.request;
      const outcome = await invoke(bridgeOf(metaUrl), frame, { request, context });
      if (outcome.type === "failed") throw failure(library, outcome, event.eventId);
      if (outcome.type === "suspended") await suspend(event.step, outcome);
    },
  });
}

/**
 * Return a function that hands what the library makes of a request to `make(library)`. The library is
 * imported with the first request, when Python has been told to start: side by side they take less time,
 * and nobody pays for either who merely imports the entry.
 */
export function workload(load, { metaUrl, arrive, make }) {
  let loaded = null;
  return async (request, context) => {
    arrive(request, context);
    try {
      bridgeOf(metaUrl).start(context, expected(request));
    } catch {
      // told as the failure of an attempt: a failed request would cost the run its steps
    }
    loaded ??= load().then((library) => library.asyncWorkloadFn(make(library)));
    return (await loaded)(request, context);
  };
}

function invoke(bridge, frame, { request, context }) {
  const deadline = timeLimit(request) - MARGIN;
  const what = `the workflow ${frame.workflow}`;
  const advice = "make its steps shorter, or define it with background=True (15 minutes)";
  return new Promise((receive) =>
    bridge.call(frame, { context, deadline, what, advice, receive }),
  );
}

/** The event that the address says is coming. */
export function expected(request) {
  return JSON.parse(new URL(request.url).searchParams.get("events") ?? "[]")[0];
}

/** As the library has it: by the name in the path, else by a variable. */
export function timeLimit(request) {
  if (new URL(request.url).pathname.endsWith("-background")) return BACKGROUND_LIMIT;
  const explicit = parseInt(process.env.AWL_SERVERLESS_TIMEOUT ?? "", 10);
  return explicit > 10 && explicit <= 900 ? explicit * 1000 - 500 : LIBRARY_LIMIT;
}

/** Hand over checkpoints and sleeps. All begin in one tick, so the library stores them together. */
async function suspend(step, { checkpoints, sleeps }) {
  // the library would take the run for completed
  if (checkpoints.length + sleeps.length === 0) throw new Error("the run waits for nothing");
  await Promise.all([
    ...checkpoints.map(({ id, text }) => step.run(id, async () => text)),
    ...sleeps.map(({ id, ms }) => step.sleep(id, ms)),
  ]);
}

export function failure(library, { final, error, retryIn }, eventId) {
  const { message } = error;
  const made = final
    ? new library.ErrorDoNotRetry(message)
    : retryIn
      ? new library.ErrorRetryAfterDelay({ message, retryDelay: retryIn, forceDelayTime: true })
      : new Error(message);
  // the library logs what it is thrown: Python's traceback, not where in here it was made
  const text = `[${eventId}] ${error.traceback.trimEnd() || `${error.type}: ${message}`}`;
  Object.defineProperty(made, "stack", { value: text });
  Object.defineProperty(made, inspect.custom, { value: () => text });
  return made;
}
