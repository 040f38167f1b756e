// Netlify Blobs on loopback: the package's own local server, and a look into all its stores.

import { createServer } from "node:http";
import { rm } from "node:fs/promises";
import { getStore, listStores } from "@netlify/blobs";
import { BlobsServer } from "@netlify/blobs/server";

import { DEPLOY_ID, SITE_ID } from "./runtime.mjs";

const TOKEN = "rig-blobs-token";
const STATES = ["pending", "processing", "delayed", "hibernating", "dead-lettered"];

/** Serve blobs from a folder; each request is told to `traffic`. */
export async function startBlobs(folder, traffic) {
  const blobs = new BlobsServer({ directory: folder, token: TOKEN, logger: () => {} });
  // its own start() listens on every interface, so only its request handler is used
  const server = createServer((incoming, outgoing) => {
    traffic.follow(outgoing);
    blobs.handleRequest(incoming, outgoing);
  });
  const address = await listen(server);
  blobs.address = address;
  return { address, clear: () => rm(folder, { recursive: true, force: true }) };
}

export async function listen(server) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${server.address().port}`;
}

/** Return what the runtime puts into NETLIFY_BLOBS_CONTEXT. */
export function blobsContext(address) {
  const context = {
    edgeURL: address,
    uncachedEdgeURL: address,
    token: TOKEN,
    siteID: SITE_ID,
    deployID: DEPLOY_ID,
    primaryRegion: "rig",
  };
  return Buffer.from(JSON.stringify(context)).toString("base64");
}

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
