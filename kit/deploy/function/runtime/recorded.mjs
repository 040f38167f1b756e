// Workflows with records as a workload of Async Workloads, which only calls: look at this run.

import { randomUUID } from "node:crypto";

import { Blobs, isLocal, opener } from "./blobs.mjs";
import { bridgeOf } from "./bridge.mjs";
import { look } from "./durable.mjs";
import { idOf } from "./record.mjs";
import { Records } from "./records.mjs";
import { originOf, wake } from "./router.mjs";
import { expected, failure, timeLimit } from "./workflow.mjs";

const MARGIN = 500; // ms for what comes before and after
const FALLBACK = 60_000; // ms until a run is looked at again that was sent on at once
const LONGEST = 300 * 86_400_000; // ms; the library takes a year, and who wakes too early sleeps again
const SPARE = "kit:spare:"; // how the id of such an alarm begins

/**
 * Return the function of an entry. `library` is what it imports from @netlify/async-workloads,
 * `workflows` what is known of each: {name, maxRetries, backoff, timeout}, in ms.
 */
export function recorded(library, { metaUrl, workflows }) {
  const byName = new Map(workflows.map((each) => [each.name.toLowerCase(), each]));
  const arrived = new WeakMap(); // what came with a request; the library keeps most to itself
  const handle = library.asyncWorkloadFn(async (event) => {
    const { copy, ...around } = arrived.get(event.request);
    const [item] = await copy.json();
    const workflow = byName.get(item.eventName.toLowerCase());
    await tell(library, event, await visit(item, { ...around, workflow, metaUrl }));
  });
  return (request, context) => {
    const fnName = new URL(request.url).pathname.split("/").at(-1);
    arrived.set(request, { copy: request.clone(), context, fnName, limit: timeLimit(request) - MARGIN });
    try {
      bridgeOf(metaUrl).start(context, expected(request)); // it boots while the record is read
    } catch {
      // told as the failure of an attempt: a failed request would be sent again without end
    }
    return handle(request, context);
  };
}

/** Look at the run of an event; what comes of it, and how to have it looked at again. */
async function visit(item, { workflow, metaUrl, context, fnName, limit }) {
  const id = idOf(item.eventId);
  const message = !workflow ? `this function has no workflow '${item.eventName}'` : `'${item.eventId}' is no id of an event`;
  if (!workflow || !id) return { dead: { type: "WorkflowError", message, traceback: "" } };
  const records = new Records(new Blobs(opener(context), { isLocal: isLocal(context) }));
  const invoke = (frame, how) => bridgeOf(metaUrl).call(frame, { context, ...wordsFor(workflow), ...how });
  const code = context?.deploy?.id ?? null;
  const outcome = await look(records, arrivedEvent(item, id, workflow), workflow, { limit, code, invoke });
  if (outcome.goesOn) return sentOn(records, id, { context, fnName });
  // whoever has the run in hand, or has set its alarm, came of the event that this one was to be spare for
  const isSpare = item.stepResults?.at(-1)?.stepId.includes(SPARE);
  return outcome.isOthers && isSpare ? {} : outcome;
}

/** Have a run go on in another invocation, now: the scheduler would take up to a minute. */
async function sentOn(records, id, { context, fnName }) {
  const { record } = await records.read(id);
  const data = await records.text(record.event.data);
  const environ = process.env;
  const why = await wake(record, data, { origin: originOf(context, environ), environ, fetch, fnName });
  if (why) console.warn(`[${id}] the run could not go on at once: ${why}`);
  // to be sure, the alarm is set as well: an acknowledged event may yet be lost
  return why ? { until: Date.now() } : { until: Date.now() + FALLBACK, prefix: SPARE };
}

const wordsFor = ({ name }) => ({
  what: `the workflow ${name}`,
  advice: "make its steps shorter, or define it with background=True (15 minutes)",
});

/** An event as a record keeps it. Numbers have come through JavaScript already; from here on, text. */
function arrivedEvent(item, id, workflow) {
  return {
    id,
    name: item.eventName,
    workflow: workflow.name,
    data: item.data === undefined ? null : JSON.stringify(item.data),
    due: typeof item.delayUntil === "number" ? item.delayUntil : null,
    priority: Number.isInteger(item.priority) ? item.priority : 0,
    chain: item.eventChain ?? [],
  };
}

async function tell(library, event, { until, dead, prefix = "kit:wake:" }) {
  if (dead) throw failure(library, { final: true, error: { traceback: "", ...dead } }, event.eventId);
  // never an id that was used before: the library would answer it from its memory, at once
  if (until === undefined) return;
  await event.step.sleep(prefix + randomUUID(), Math.min(LONGEST, Math.max(1, until - Date.now())));
}
