// Workflows with records as a workload of Async Workloads, which only calls: look at this run.

import { Blobs, isLocal, opener } from "./blobs.mjs";
import { bridgeOf } from "./bridge.mjs";
import { look } from "./durable.mjs";
import { failed, idOf, isFinal, isLive } from "./record.mjs";
import { Damaged, Records } from "./records.mjs";
import { originOf, wake } from "./router.mjs";
import { failure, timeLimit, workload } from "./workflow.mjs";

const MARGIN = 500; // ms for what comes before and after
const FALLBACK = 60_000; // ms until a run is looked at again that was sent on at once
const LATER = 300_000; // the same where it was to be looked at later, which may be late itself
const LONGEST = 300 * 86_400_000; // ms; the library takes a year, and who wakes too early sleeps again
// how the ids of alarms begin: of all, of such one, and of one after the workflow was not found
const [ALARM, SPARE, MOVED] = ["kit:wake:", "kit:spare:", "kit:moved:"];
const MOST_ALARMS = 50; // that an event carries along, each some 80 bytes of it

/**
 * Return the function of an entry. `load` imports @netlify/async-workloads, `workflows` are what is known of
 * each: {name, maxRetries, backoff, timeout}, in ms.
 */
export function recorded(load, { metaUrl, workflows }) {
  const byName = new Map(workflows.map((each) => [each.name.toLowerCase(), each]));
  const arrived = new WeakMap(); // what came with a request; the library keeps most to itself
  return workload(load, {
    metaUrl,
    arrive: (request, context) => {
      const fnName = new URL(request.url).pathname.split("/").at(-1);
      arrived.set(request, { copy: request.clone(), context, fnName, limit: timeLimit(request) - MARGIN });
    },
    make: (library) => async (event) => {
      const { copy, ...around } = arrived.get(event.request);
      const [item] = await copy.json();
      const workflow = byName.get(item.eventName.toLowerCase());
      await tell(library, event, item, await visit(item, { ...around, workflow, metaUrl }));
    },
  });
}

/** Look at the run of an event; what comes of it, and how to have it looked at again. */
async function visit(item, { workflow, metaUrl, ...around }) {
  const id = idOf(item.eventId);
  if (!id) return deadLetter(`'${item.eventId}' is no id of an event`);
  const { context, limit } = around;
  const records = new Records(new Blobs(opener(context), { isLocal: isLocal(context) }));
  try {
    if (!workflow) return await orphaned(records, item, id, around);
    const invoke = (frame, how) => bridgeOf(metaUrl).call(frame, { context, ...wordsFor(workflow), ...how });
    const code = context?.deploy?.id ?? null;
    const outcome = await look(records, arrivedEvent(item, id, workflow), workflow, { limit, code, invoke });
    return await alarm(records, item, id, outcome, around);
  } catch (error) {
    if (error instanceof Damaged && !error.isNewer) return deadLetter(error.message, "RECORD_DAMAGED");
    throw error;
  }
}

const deadLetter = (message, code = null) => ({ dead: { type: "WorkflowError", message, code, traceback: "" } });

/** How a run is looked at again after `outcome`. */
async function alarm(records, item, id, outcome, around) {
  const last = item.stepResults?.at(-1)?.stepId ?? "";
  if (outcome.goesOn) return sentOn(records, id, { due: null, ...around });
  // whoever has the run in hand, or has set its alarm, came of the event that this one was to be spare for
  if (outcome.isOthers && last.includes(SPARE)) return {};
  const isFull = (item.stepResults?.length ?? 0) >= MOST_ALARMS;
  return isFull && outcome.until !== undefined ? sentOn(records, id, { due: outcome.until, ...around }) : outcome;
}

/**
 * Have a run looked at by another event, which carries nothing yet: at `due`, or now, for which the
 * scheduler would take up to a minute.
 */
async function sentOn(records, id, { due, context, fnName, isMoved }) {
  const { record } = await records.read(id);
  const data = await records.text(record.event.data);
  const environ = process.env;
  const why = await wake(record, data, { origin: originOf(context, environ), environ, fetch, fnName, due, isMoved });
  if (why) console.warn(`[${id}] the run could not be sent on: ${why}`);
  // to be sure, the alarm is set as well: an acknowledged event may yet be lost
  if (why) return { until: due ?? Date.now() };
  return { until: due === null ? Date.now() + FALLBACK : due + LATER, prefix: SPARE };
}

/**
 * The run of a workflow that this function does not have: it was renamed or removed in the newest deploy,
 * or has moved to another function, which then gets the event. If nobody has taken it up a minute later,
 * the run has failed.
 */
async function orphaned(records, item, id, { context }) {
  const known = await records.read(id);
  const message = `no function of the newest deploy has the workflow '${item.eventName}': it was renamed or removed`;
  if (!known) return deadLetter(message);
  if (isFinal(known.record)) return {};
  const isLast = item.isMoved || item.stepResults?.at(-1)?.stepId.includes(MOVED);
  if (!isLast) return { ...(await sentOn(records, id, { due: null, context, isMoved: true })), prefix: MOVED };
  const error = { type: "WorkflowNotFoundError", message, code: "WORKFLOW_DEFINITION_NOT_FOUND", traceback: "" };
  let isLost = false;
  await records.change(known, (record) => {
    const now = records.now();
    isLost = !isTaken(record, now);
    return isLost ? failed(record, { error, now }) : record;
  });
  return isLost ? { dead: error } : {};
}

/** Whether somebody else sees to a run: it is in hand, has ended, or waits for a moment that is yet to come. */
const isTaken = (record, now) => isFinal(record) || isLive(record, now) || record.due > now;

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

async function tell(library, event, { stepResults = [] }, { until, dead, prefix = ALARM }) {
  if (dead) throw failure(library, { final: true, error: { traceback: "", ...dead } }, event.eventId);
  if (until === undefined) return;
  // never an id that was used before: the library would answer it from its memory, at once
  const id = `${prefix}${stepResults.length}`;
  await event.step.sleep(id, Math.min(LONGEST, Math.max(1, until - Date.now())));
}
