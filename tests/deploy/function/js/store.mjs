// A store on loopback, and what the tests of records need of it.

import { randomUUID } from "node:crypto";

import { getStore } from "@netlify/blobs";

import { Blobs } from "../../../../kit/deploy/function/runtime/blobs.mjs";
import { Records } from "../../../../kit/deploy/function/runtime/records.mjs";
import { contextOf, listenForBlobs } from "../../../real/rig/listener.mjs";

const SITE = "site";
export const STORE = `${SITE}/site:kit-runs`;

/** Serve blobs. The pauses between tries are not waited for: they pass on a clock of their own, as does the budget. */
export async function makeStore({ limit = 10_000 } = {}) {
  const { address, blobs: server, close } = await listenForBlobs();
  process.env.NETLIFY_BLOBS_CONTEXT = contextOf(address, { siteID: SITE, deployID: "deploy" });
  const open = (fetch) => getStore({ name: "kit-runs", consistency: "strong", fetch });
  const tries = { now: 0 };
  const pause = async (ms) => void (tries.now += ms);
  const makeBlobs = (how = {}) => new Blobs(open, { limit, now: () => tries.now, pause, ...how });
  const clock = { now: Date.UTC(2026, 10, 26, 12) };
  const records = new Records(makeBlobs(), { now: () => clock.now });
  return { address, server, close, open, makeBlobs, clock, records };
}

export function eventOf(more = {}) {
  const id = randomUUID();
  return { id, name: "greet", workflow: "greet", data: '{"to":"you"}', due: null, priority: 0, chain: ["greet"], ...more };
}

export const step = (id, value = id) => ({
  id,
  kind: "step",
  text: JSON.stringify({ value }),
  startedAt: 1,
  endedAt: 2,
});
