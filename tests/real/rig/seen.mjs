// For the rig's workloads: tell the rig what a workload has seen.

import { asyncWorkloadFn } from "@netlify/async-workloads";

const bodies = new WeakMap();

/** As `asyncWorkloadFn`, but reports each invocation before `work` begins. */
export function seenWorkload(name, work = () => {}) {
  const inner = asyncWorkloadFn(async (event) => {
    await report({ workload: name, what: "invoked", ...described(event) });
    await work(event);
    await report({ workload: name, what: "completed", eventId: event.eventId });
  });
  return async (request, context) => {
    // the library reads the body, and `event.request` is this same object
    bodies.set(request, parsedOrNull(await request.clone().text()));
    return inner(request, context);
  };
}

/** Keep a note where tests can see it; over HTTP, since a workload may run in another process. */
export async function report(note) {
  await fetch(`${process.env.URL}/rig/seen`, { method: "POST", body: JSON.stringify(note) });
}

function described(event) {
  const sent = bodies.get(event.request)?.[0] ?? {};
  return {
    eventName: event.eventName,
    eventId: event.eventId,
    // as text, so that nothing between here and the test can change it; null if there is none
    data: JSON.stringify(event.eventData) ?? null,
    attempt: event.attempt,
    priority: sent.priority ?? null,
    eventChain: sent.eventChain ?? null,
    steps: (sent.stepResults ?? []).map((each) => each.stepId),
  };
}

function parsedOrNull(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
