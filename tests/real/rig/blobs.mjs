// Netlify Blobs for the rig, and a look into all its stores.

import { getStore, listStores } from "@netlify/blobs";

import { contextOf, listenForBlobs } from "./listener.mjs";
import { DEPLOY_ID, SITE_ID } from "./runtime.mjs";

const STATES = ["pending", "processing", "delayed", "hibernating", "dead-lettered"];

/** Serve blobs; each request is told to `traffic`. */
export const startBlobs = (traffic) =>
  listenForBlobs({ follow: (outgoing) => traffic.follow(outgoing) });

/** Return what the runtime puts into NETLIFY_BLOBS_CONTEXT. */
export const blobsContext = (address) => contextOf(address, { siteID: SITE_ID, deployID: DEPLOY_ID });

/** Return everything in the engine's five stores, by state. */
export async function storedEvents() {
  const all = {};
  for (const state of STATES) all[state] = await contents(`async-workloads-state-${state}`);
  return all;
}

/** Return everything in every site-wide store, by store. */
export async function storedBlobs() {
  const all = {};
  const { stores } = await listStores().catch(() => ({ stores: [] }));
  for (const name of stores) all[name] = await contents(name);
  return all;
}

async function contents(name) {
  const store = getStore({ name, consistency: "strong" });
  const { blobs } = await store.list();
  const found = [];
  for (const { key } of blobs) {
    const entry = await store.getWithMetadata(key, { type: "text" });
    if (entry) found.push({ key, metadata: entry.metadata, body: parsed(entry.data) });
  }
  return found;
}

export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
