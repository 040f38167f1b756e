// What Netlify's function runtime gives a function: `Netlify`, a context, and its own call.

import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";

export const SITE_ID = "rig-site";
export const DEPLOY_ID = "rig-deploy";

const current = new AsyncLocalStorage();

/** Put the global `Netlify` in place; once per process. */
export function installRuntime() {
  globalThis.Netlify = {
    env: {
      get: (name) => process.env[name],
      has: (name) => name in process.env,
      set: (name, value) => void (process.env[name] = value),
      delete: (name) => void delete process.env[name],
      toObject: () => ({ ...process.env }),
    },
    get context() {
      return current.getStore() ?? null;
    },
  };
}

/** Call a function; the second thing returned settles when all it left to `waitUntil` is over. */
export async function callFunction(handler, request, params = {}) {
  const left = [];
  const context = makeContext(request, params, left);
  const response = await current.run(context, () => handler(request, context));
  const settled = () => Promise.allSettled(left);
  return [response ?? new Response(null, { status: 204 }), settled];
}

function makeContext(request, params, left) {
  return {
    account: { id: "rig-account" },
    deploy: { context: "production", id: DEPLOY_ID, published: true },
    geo: {},
    ip: "127.0.0.1",
    params,
    requestId: randomUUID(),
    server: { region: "rig" },
    site: { id: SITE_ID, name: "rig", url: process.env.URL },
    url: new URL(request.url),
    waitUntil: (promise) => void left.push(promise),
  };
}
