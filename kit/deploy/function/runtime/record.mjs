// The record of a run, and what becomes of it: from values to values.
//
// One record is one text in the store, under `runs/<id>.json`, and is replaced as a whole:
//
//   v           1, the version of this form
//   rev, nonce  one more, and new, with every write: no two texts of a key are ever equal
//   id          the run's, which is its event's, in lower case
//   workflow    its name
//   code        the deploy whose code has run it last
//   status      queued | running | sleeping | completed | failed | cancelled
//   event       {name, data, due, priority, chain}; `data` is a text, and null where there was none
//   attempt     the current one, from 0
//   due         when it goes on by itself, while it waits; else null
//   timeout     how long it may take, in ms, or null
//   expires     when its time is over, or null
//   createdAt, startedAt, endedAt, updatedAt
//   owner       {token, until, attempt} of the invocation that has it in its hands, or null
//   stop        when it was asked to stop, or null
//   seq         the number of its newest entry
//   entries     the newest of what it has finished, in order: {n, id, kind, text, startedAt, endedAt,
//               sequence}; `n` is the record's own number, never used again, `sequence` Python's
//   segments    where older entries are, in order: {key, first, last, count}
//   forgotten   numbers of entries in segments that no longer count
//   waits       what has begun and is not over, or was not when the run ended: {id, kind, due}
//   attempts    the failed ones: {number, endedAt, error, retryIn}
//   result      a text, or null
//   error       {type, message, traceback, stepId, code}, or null
//
// A *text* is JSON, made by Python and opaque here, so that JavaScript never touches its numbers. One
// beyond LARGE bytes is kept under a key of its own: {ref, bytes} stands in its place. Such keys, and
// those of segments, are `parts/<id>/<name>`; one that no record names is of a writer that has lost.
//
// Of a deleted run a tombstone stays for a while: {v, rev, nonce, id, workflow, status, createdAt,
// deletedAt}: an event of it that comes late must not begin it anew. Times are milliseconds
// since the epoch.

export const VERSION = 1;
export const LARGE = 65_536; // bytes of a text that is kept by itself
export const SEGMENT = 32_768; // bytes of entries that the record holds before they are sealed

const TRACEBACK = 8_000; // characters that are kept, from the end
const [TRACED, KEPT] = [10, 100]; // attempts that keep their traceback, and that are kept at all

const FINAL = new Set(["completed", "failed", "cancelled"]);
const SAFE = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** The invocation that asks has lost the run to another one. */
export class Lost extends Error {}

/** Return the id of a run as it is kept, or null if it is none: a version-4 UUID. */
export function idOf(text) {
  const id = String(text).toLowerCase();
  return SAFE.test(id) ? id : null;
}

export const keyOf = (id) => `runs/${id}.json`;
export const isFinal = ({ status }) => FINAL.has(status);
export const isTombstone = ({ deletedAt }) => deletedAt != null;
export const isLive = ({ owner }, now) => owner != null && owner.until > now;

/** Where a run is found by its time: its day, then its moment. */
export function indexKey({ id, createdAt }) {
  return `index/${dayOf(createdAt)}/${String(createdAt).padStart(15, "0")}.${id}`;
}

export const dayOf = (time) => new Date(time).toISOString().slice(0, 10);

/** Return `{id, createdAt}` of an index key, or null if it is none. */
export function ofIndexKey(key) {
  const [, time, id] = /^index\/\d{4}-\d\d-\d\d\/(\d{15})\.([0-9a-f-]{36})$/.exec(key) ?? [];
  return id ? { id, createdAt: Number(time) } : null;
}

/** The record of an event that has just come; `timeout` in ms, or null. */
export function begun({ id, name, workflow, data, due, priority, chain }, { now, timeout = null }) {
  return {
    v: VERSION,
    rev: 0,
    nonce: "",
    id,
    workflow,
    code: null,
    status: "queued",
    event: { name, data, due, priority, chain },
    attempt: 0,
    due: now,
    timeout,
    expires: timeout === null ? null : now + timeout,
    createdAt: now,
    startedAt: null,
    endedAt: null,
    updatedAt: now,
    owner: null,
    stop: null,
    seq: 0,
    entries: [],
    segments: [],
    forgotten: [],
    waits: [],
    attempts: [],
    result: null,
    error: null,
  };
}

/** As it is written. */
export function stamped(record, { nonce, now }) {
  return { ...record, rev: record.rev + 1, nonce, updatedAt: now };
}

/**
 * What an invocation that an event has called makes of the record:
 * `{next}` takes it (and runs), or ends it, which its status tells; `{until}` comes back then; neither:
 * nothing is left to be done. `patience` is how long it could wait in place, in ms.
 */
export function taken(record, { now, token, until, code, patience }) {
  if (isTombstone(record) || isFinal(record)) return {};
  if (isLive(record, now) && record.owner.token !== token) return { until: record.owner.until };
  if (record.stop !== null) return { next: cancelled(record, { now }) };
  if (isExpired(record, now)) return { next: timedOut(record, { now }) };
  if (record.due !== null && record.due > now + patience) return { until: wakes(record) };
  const owner = { token, until, attempt: record.attempt };
  const next = { ...record, code, owner, startedAt: record.startedAt ?? now };
  // one that still waits a little keeps what it waits for: this invocation may die meanwhile
  const waitsStill = record.due !== null && record.due > now;
  return { next: waitsStill ? next : { ...next, status: "running", due: null } };
}

export const isExpired = ({ expires }, now) => expires !== null && expires <= now;

/** When something is to be done about a run that waits. */
export const wakes = ({ due, expires }) => Math.min(due ?? Infinity, expires ?? Infinity);

export const isOwned = ({ owner }, token) => owner?.token === token;

/** Add what has been finished; `forget` are numbers of entries that no longer count. */
export function committed(record, { entries = [], forget = [] }) {
  const gone = new Set(forget);
  const sealed = record.segments.at(-1)?.last ?? 0;
  const kept = record.entries.filter(({ n }) => !gone.has(n));
  const added = entries.map((entry, index) => ({ ...entry, n: record.seq + 1 + index }));
  const over = new Set(added.map(({ id }) => id));
  return {
    ...record,
    status: "running",
    due: null,
    waits: record.waits.filter(({ id }) => !over.has(id)),
    seq: record.seq + added.length,
    entries: [...kept, ...added],
    forgotten: [...record.forgotten, ...[...gone].filter((n) => n <= sealed)],
  };
}

/** It waits: until `due`, for what `waits` says. */
export function suspended(record, { waits, due }) {
  return { ...record, status: waits.length ? "sleeping" : "queued", waits, due };
}

/** An attempt has failed, and the next one begins after `wait` ms. What had begun to sleep sleeps on, or has slept. */
export function failedOnce(record, { error, wait, now }) {
  const attempts = withAttempt(record, { error, retryIn: wait, now });
  return { ...record, status: "queued", attempts, attempt: record.attempt + 1, due: now + wait };
}

export function completed(record, { result, now }) {
  return ended(record, { status: "completed", result, now });
}

/** No attempt is left: a dead letter. */
export function failed(record, { error, now }) {
  const attempts = withAttempt(record, { error, retryIn: null, now });
  return { ...ended(record, { status: "failed", now }), error: shortened(error), attempts };
}

export function timedOut(record, { now }) {
  const message = `the run took longer than the timeout of '${record.workflow}'`;
  const error = { type: "RunTimedOut", message, traceback: "", stepId: null, code: "RUN_TIMED_OUT" };
  return { ...ended(record, { status: "failed", now }), error };
}

export function cancelled(record, { now }) {
  return ended(record, { status: "cancelled", now });
}

/** Let go of it: it is as it is for whoever comes next. */
export const released = (record) => ({ ...record, owner: null });

function ended(record, { status, result = null, now }) {
  return { ...record, status, result, endedAt: now, due: null, owner: null };
}

function withAttempt({ attempts, attempt }, { error, retryIn, now }) {
  const all = [...attempts, { number: attempt, endedAt: now, error: shortened(error), retryIn }];
  const bare = ({ error, ...rest }) => ({ ...rest, error: { ...error, traceback: "" } });
  return all.slice(-KEPT).map((each, index, { length }) => (index < length - TRACED ? bare(each) : each));
}

function shortened({ type, message, traceback = "", stepId = null, code = null }) {
  const text = traceback.length > TRACEBACK ? `…${traceback.slice(-TRACEBACK)}` : traceback;
  return { type, message: message.slice(0, TRACEBACK), traceback: text, stepId, code };
}

/** Ask it to stop: at once if nobody has it in hand. The same record if it has ended. */
export function stopped(record, { now }) {
  if (isFinal(record) || isTombstone(record)) return record;
  if (!isLive(record, now)) return cancelled({ ...record, stop: record.stop ?? now }, { now });
  return record.stop === null ? { ...record, stop: now } : record;
}

/**
 * Begin an ended run again, after its last finished step, or `fromStart`. The same record if it has not
 * ended. A step whose failure was caught runs again, with all that came after it. What it slept when it
 * ended is over at the moment it would have been.
 */
export function retried(record, { now, fromStart = false, entries = record.entries }) {
  if (!isFinal(record) || isTombstone(record)) return record;
  const firstFailed = fromStart ? 0 : (entries.find(({ text }) => isFailure(text))?.n ?? Infinity);
  const isGone = ({ n }) => n >= firstFailed;
  const sealed = record.segments.at(-1)?.last ?? 0;
  const forgotten = entries.filter((each) => isGone(each) && each.n <= sealed).map(({ n }) => n);
  return {
    ...record,
    status: "queued",
    attempt: 0,
    due: now,
    expires: record.timeout === null ? null : now + record.timeout,
    endedAt: null,
    stop: null,
    owner: null,
    entries: record.entries.filter((each) => !isGone(each)),
    waits: fromStart ? [] : record.waits,
    forgotten: [...record.forgotten, ...forgotten],
    result: null,
    error: null,
  };
}

export const isFailure = (text) => typeof text === "string" && text.startsWith('{"error":');

/** What stays of a deleted run. */
export function tombstone({ v, rev, nonce, id, workflow, status, createdAt }, { now }) {
  return { v, rev, nonce, id, workflow, status, createdAt, deletedAt: now };
}

/** Whether its entries are to be sealed into a segment. */
export function isHeavy({ entries }) {
  return entries.length > 1 && Buffer.byteLength(JSON.stringify(entries)) > SEGMENT;
}

/** Seal the entries into a segment under `key`: returns the record without them, and its text. */
export function sealed(record, key) {
  const { entries, segments } = record;
  const block = { key, first: entries[0].n, last: record.seq, count: entries.length };
  return [{ ...record, entries: [], segments: [...segments, block] }, JSON.stringify(entries)];
}
