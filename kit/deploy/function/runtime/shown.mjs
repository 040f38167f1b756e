// Runs as they are shown: as `kit runs show --json` has them (schemas/run.schema.json).

import { Raw } from "./json.mjs";
import { isFinal } from "./record.mjs";

const MOST = 4_000_000; // bytes of step values in one answer; a function answers with 6 MB at most
const MARK = ',"inner":true'; // of a step that ran within another,
const OUTER = ',"outer":'; // which is named before it

/** A run with its steps; a value that would make the answer too large is left out. */
export async function runJson(record, records) {
  const entries = await records.filled(await records.entries(record), MOST);
  return {
    ...summary(record),
    data: raw(await records.text(record.event.data)),
    result: raw(await records.text(record.result)),
    error: record.error,
    steps: [...entries.map(stepJson), ...pausesOf(record, entries)],
    attempts: record.attempts,
  };
}

export async function resultJson({ id, workflow, status, result, error }, records) {
  return { id, workflow, status, result: raw(await records.text(result)), error };
}

/** A page of runs; `next` is what `before` is for the following one. */
export const pageJson = ({ found, next }) => ({ runs: found.map(inListJson), next });

function inListJson(record) {
  const { error } = record;
  return { ...summary(record), error: error && { ...error, traceback: "" } };
}

function summary({ id, workflow, status, attempt, createdAt, startedAt, endedAt, due, event }) {
  const waits = status === "queued" || status === "sleeping";
  const { priority } = event;
  return { id, workflow, status, attempt, createdAt, startedAt, endedAt, dueAt: waits ? due : null, priority };
}

function stepJson({ id, kind, text, startedAt, endedAt }) {
  const [name, content] = opened(text);
  const status = name === "error" ? "failed" : "completed";
  return { id, kind, status, startedAt: startedAt || null, endedAt: endedAt || null, ...(name && { [name]: content }) };
}

/** What it waits for, as steps that have not ended. */
function pausesOf(record, entries) {
  if (isFinal(record)) return [];
  const { waits } = record;
  const known = new Set(entries.map(({ id }) => id));
  const open = waits.filter(({ id }) => !known.has(id));
  return open.map(({ id, kind, due }) => ({ id, kind, status: "sleeping", startedAt: null, endedAt: due }));
}

/** What is in an envelope, `{"value": …}` or `{"error": …}`: its name and its text, untouched. */
function opened(text) {
  const [, name] = /^\{"(value|error)":/.exec(text ?? "") ?? [];
  if (!name) return [null];
  const content = text.slice(`{"${name}":`.length, -1);
  return [name, new Raw(content.endsWith(MARK) ? unmarked(content.slice(0, -MARK.length)) : content)];
}

function unmarked(content) {
  const start = content.lastIndexOf(OUTER);
  return start >= 0 && /^"(?:[^"\\]|\\.)*"$/.test(content.slice(start + OUTER.length)) ? content.slice(0, start) : content;
}

const raw = (text) => (text == null ? null : new Raw(text));
