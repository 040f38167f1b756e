// Runs that ended long ago are removed, so that the store does not grow without end.

import { Blobs, isLocal, opener } from "./blobs.mjs";
import { dayOf, isFinal, isTombstone } from "./record.mjs";
import { Records, inOrder } from "./records.mjs";

const DAY = 86_400_000;
const TOMBSTONES_LAST = 30 * DAY; // as long as Netlify keeps dead letters, which may come back
const LIMIT = 20_000; // ms; a scheduled function has 30 s
const AT_ONCE = 10;

/** Return the scheduled function: removes what has ended more than `days` days ago. */
export function retention({ days }) {
  return async (_request, context) => {
    const records = new Records(new Blobs(opener(context), { isLocal: isLocal(context) }));
    const { removed, isDone } = await sweep(records, { age: days * DAY });
    console.log(`kit: removed ${removed} runs that ended more than ${days} days ago${isDone ? "" : "; more to come"}`);
    return new Response(null, { status: 204 });
  };
}

/**
 * Remove runs that ended more than `age` ms ago, oldest first, until that takes `limit` ms. A tombstone
 * stays until a late event of its run need no longer be expected.
 */
export async function sweep(records, { age, limit = LIMIT, clock = performance }) {
  const began = clock.now();
  const now = records.now();
  const last = dayOf(now - Math.min(age, TOMBSTONES_LAST));
  let removed = 0;
  for (const day of (await records.days()).filter((each) => each <= last)) {
    const entries = await records.indexed(day);
    while (entries.length) {
      if (clock.now() - began > limit) return { removed, isDone: false };
      const some = entries.splice(0, AT_ONCE);
      const heads = await records.heads(some);
      const done = await inOrder(heads, (head, index) => swept(records, head, some[index], { age, now }));
      removed += done.filter(Boolean).length;
    }
  }
  return { removed, isDone: true };
}

/** See to one entry of the index; returns whether a run was removed. */
async function swept(records, head, entry, { age, now }) {
  if (head?.record === null) return false; // to be looked at by somebody; it stays in the list
  if (!head) {
    // of a writer that has lost, and of nobody who is just about to write its record
    if (entry.createdAt < now - DAY) await records.unlist(entry);
    return false;
  }
  const { record } = head;
  if (isTombstone(record)) {
    if (record.deletedAt <= now - TOMBSTONES_LAST) await records.bury(head);
    return false;
  }
  if (!isFinal(record) || record.endedAt > now - age) return false;
  const dead = await records.remove(head);
  if (!isTombstone(dead.record)) return false; // it was begun again meanwhile
  if (record.endedAt <= now - TOMBSTONES_LAST) await records.bury(dead);
  return true;
}
