// The runs API: who has the key can list, show, stop, retry and delete runs. No Python is started.
//
//   GET    /.netlify/functions/kit-runs             a page of runs: ?workflow= status= since= before= limit=
//   GET    /.netlify/functions/kit-runs/<id>        a run with its steps and attempts
//   GET    /.netlify/functions/kit-runs/<id>/result its status, and its result or error
//   POST   /.netlify/functions/kit-runs/<id>/stop   ends it: at once if it waits
//   POST   /.netlify/functions/kit-runs/<id>/retry  begins an ended one again: {"fromStart": true}?
//   POST   /.netlify/functions/kit-runs/<id>/signal is yet to come
//   DELETE /.netlify/functions/kit-runs/<id>        deletes an ended one
//   POST   /.netlify/functions/kit-runs/try-store   tries whether the store keeps to its conditional writes
//
// What is wrong is JSON as well: {"error": {"code", "message"}}.

import { Blobs, StoreError, isLocal, opener } from "./blobs.mjs";
import { toJson } from "./json.mjs";
import { isKnown, keysIn } from "./keys.mjs";
import { idOf, isFinal, isLive, isTombstone, retried, stopped } from "./record.mjs";
import { Damaged, Records } from "./records.mjs";
import { originOf, wake } from "./router.mjs";
import { pageJson, resultJson, runJson } from "./shown.mjs";
import { trial } from "./trial.mjs";

export const API_VERSION = "1";
const PATH = "/.netlify/functions/kit-runs";
const TRIAL = "try-store";
const LARGEST_BODY = 10_000;
const [LIMIT, MOST] = [50, 100]; // runs on a page, if nobody says, and at all
const LOOKED_AT = 1_000; // records that are read for one page
const STATUSES = ["queued", "running", "sleeping", "completed", "failed", "cancelled"];

/** Something that the caller is to be told. */
class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

/**
 * Return the function `kit-runs`. `homes` are the functions of workflows with records, by their names in
 * lower case. What else is given is for tests.
 */
export function runs({ homes = {}, environ = process.env, makeRecords = recordsOf, fetch = globalThis.fetch } = {}) {
  const known = new Map(Object.entries(homes));
  return async (request, context) => {
    try {
      admit(request, environ);
      const [status, body] = await answer(request, { context, environ, fetch, homes: known, records: () => makeRecords(context) });
      return respond(status, body);
    } catch (error) {
      return refuse(error);
    }
  };
}

const recordsOf = (context) => new Records(new Blobs(opener(context), { isLocal: isLocal(context) }));

function respond(status, body) {
  const headers = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-kit-runs": API_VERSION,
  };
  return new Response(toJson(body), { status, headers });
}

function refuse(error) {
  const { status, code, message } = error;
  if (error instanceof Refusal) return respond(status, { error: { code, message } });
  console.error(error);
  if (error instanceof Damaged) return respond(500, { error: { code: "RECORD_DAMAGED", message: advised(error) } });
  if (error instanceof StoreError) return respond(503, { error: { code: "STORE_UNAVAILABLE", message } });
  return respond(500, { error: { code: "INTERNAL_ERROR", message: "something went wrong; the function's log says what" } });
}

const advised = ({ message, isNewer }) => (isNewer ? `${message}. Deploy that version again` : `${message}. It can be deleted`);

/** Let in who has the key, and no page of another site. */
function admit(request, environ) {
  const origin = request.headers.get("origin");
  const isForeign = origin !== null && origin !== new URL(request.url).origin;
  if (isForeign || request.headers.get("sec-fetch-site") === "cross-site") {
    throw new Refusal(403, "FOREIGN_ORIGIN", "pages of other sites may not use this");
  }
  const keys = keysIn(environ);
  if (keys.length === 0) {
    throw new Refusal(401, "NO_API_KEY", "this site has no AWL_API_KEY for its functions, so nobody is let in");
  }
  if (!isKnown(request.headers.get("authorization"), keys)) {
    throw new Refusal(401, "UNAUTHORIZED", "the key is missing or wrong: Authorization: Bearer <AWL_API_KEY>");
  }
}

async function answer(request, surroundings) {
  const url = new URL(request.url);
  const [id, action, ...more] = partsOf(url.pathname);
  if (id === undefined) return list(only(request, "GET"), url.searchParams, surroundings);
  if (id === TRIAL && action === undefined) return [200, await trial(only(request, "POST") && surroundings.records().blobs)];
  const known = idOf(id);
  if (known === null) throw new Refusal(400, "INVALID_ID", "the id of a run is a version-4 UUID");
  const does = ACTIONS[action ?? ""];
  if (!does || more.length) throw new Refusal(404, "NOT_FOUND", "there is nothing at this path");
  return does(request, known, surroundings);
}

/** The parts of a path below the function's own; as they are: no id has anything to be decoded. */
function partsOf(pathname) {
  const [, rest] = pathname.startsWith(PATH) ? pathname.split(PATH) : [];
  if (rest === undefined || !/^(\/|$)/.test(rest)) throw new Refusal(404, "NOT_FOUND", "there is nothing at this path");
  return rest.split("/").filter(Boolean);
}

const ACTIONS = {
  "": (request, id, around) => (request.method === "DELETE" ? remove(id, around) : show(only(request, "GET", "DELETE"), id, around)),
  result: (request, id, around) => result(only(request, "GET"), id, around),
  stop: (request, id, around) => stop(only(request, "POST"), id, around),
  retry: (request, id, around) => retry(only(request, "POST"), id, around),
  signal: (request) => {
    only(request, "POST");
    throw new Refusal(501, "NOT_SUPPORTED_SIGNAL", "signals are not supported on Netlify yet");
  },
};

function only(request, ...methods) {
  if (methods.includes(request.method)) return request;
  throw new Refusal(405, "METHOD_NOT_ALLOWED", `this path takes ${methods.join(" and ")}`);
}

async function found(id, records) {
  const known = await records.read(id);
  if (known && !isTombstone(known.record)) return known;
  throw noRun(id);
}

const noRun = (id) => new Refusal(404, "RUN_NOT_FOUND", `no run has the id ${id}`);

async function show(_request, id, { records: open }) {
  const records = open();
  const { record } = await found(id, records);
  return [200, await runJson(record, records)];
}

async function result(_request, id, { records: open }) {
  const records = open();
  const { record } = await found(id, records);
  return [200, await resultJson(record, records)];
}

async function stop(_request, id, { records: open }) {
  const records = open();
  const known = await found(id, records);
  const { record } = await records.change(known, (each) => stopped(each, { now: records.now() }));
  if (isTombstone(record)) throw noRun(id);
  return [200, await resultJson(record, records)];
}

async function retry(request, id, surroundings) {
  const { fromStart = false } = await bodyOf(request);
  if (typeof fromStart !== "boolean") throw new Refusal(400, "INVALID_BODY", "fromStart is true or false");
  const records = surroundings.records();
  const known = await found(id, records);
  const now = records.now();
  if (!isFinal(known.record) && (isLive(known.record, now) || known.record.due > now)) {
    throw new Refusal(409, "RUN_NOT_ENDED", `run ${id} is ${known.record.status}; only an ended one can begin again`);
  }
  const entries = await records.entries(known.record);
  const { record } = await records.change(known, (each) => retried(each, { now, fromStart, entries }));
  if (isTombstone(record)) throw noRun(id); // it was deleted meanwhile
  await woken(record, records, surroundings);
  return [202, await resultJson(record, records)];
}

/**
 * Send the event anew, to the workflow's own function: another that takes events of this name, such as one
 * written in JavaScript, would do its work again.
 */
async function woken(record, records, { context, environ, fetch, homes }) {
  const data = await records.text(record.event.data);
  const fnName = homes.get(record.event.name.toLowerCase());
  const why = await wake(record, data, { origin: originOf(context, environ), environ, fetch, fnName });
  if (why === null) return;
  console.error(`kit: run ${record.id} was not woken: ${why}`);
  throw new Refusal(502, "NOT_WOKEN", `run ${record.id} is to begin again, but its event could not be sent: ${why}. Ask once more`);
}

async function remove(id, { records: open }) {
  const records = open();
  const known = await found(id, records).catch((error) => {
    if (error instanceof Damaged && !error.isNewer) return null;
    throw error;
  });
  if (!known) {
    await records.scrap(id);
    return [200, { deleted: [id] }];
  }
  const { record } = await records.remove(known);
  if (isTombstone(record)) return [200, { deleted: [id] }];
  throw new Refusal(409, "RUN_NOT_ENDED", `run ${id} is ${record.status}; stop it first`);
}

async function bodyOf(request) {
  const text = await request.text();
  if (text.length > LARGEST_BODY) throw new Refusal(413, "BODY_TOO_LARGE", "the body is too large");
  if (!text.trim()) return {};
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    body = null;
  }
  if (body !== null && typeof body === "object" && !Array.isArray(body)) return body;
  throw new Refusal(400, "INVALID_BODY", "the body is to be a JSON object, or nothing");
}

async function list(_request, query, { records: open }) {
  const wanted = asked(query);
  const fits = ({ workflow, status }) =>
    (wanted.workflow === null || workflow.toLowerCase() === wanted.workflow) &&
    (wanted.statuses.length === 0 || wanted.statuses.includes(status));
  const page = await open().page({ ...wanted, fits, most: LOOKED_AT });
  return [200, pageJson(page)];
}

function asked(query) {
  const unknown = [...query.keys()].find((name) => !["workflow", "status", "since", "before", "limit"].includes(name));
  if (unknown !== undefined) {
    throw new Refusal(400, "INVALID_QUERY", `${JSON.stringify(unknown.slice(0, 40))} is none of workflow, status, since, before, limit`);
  }
  const statuses = query.getAll("status").flatMap((each) => each.split(",")).filter(Boolean);
  const strange = statuses.find((each) => !STATUSES.includes(each));
  if (strange !== undefined) throw new Refusal(400, "INVALID_QUERY", `status is one of ${STATUSES.join(", ")}`);
  return {
    workflow: query.get("workflow")?.toLowerCase() ?? null,
    statuses,
    since: numberIn(query, "since", 0, Infinity) ?? 0,
    before: numberIn(query, "before", 0, Infinity) ?? Infinity,
    limit: numberIn(query, "limit", 1, MOST) ?? LIMIT,
  };
}

function numberIn(query, name, least, most) {
  const text = query.get(name);
  if (text === null) return null;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  const bound = most === Infinity ? "in ms since the epoch" : `from ${least} to ${most}`;
  throw new Refusal(400, "INVALID_QUERY", `${name} is a whole number ${bound}`);
}
