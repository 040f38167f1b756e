// To the router of the own site: an event that wakes a run.

import { Raw, toJson } from "./json.mjs";
import { keysIn } from "./keys.mjs";

const LIMIT = 10_000; // ms

/**
 * Return the address of this deploy: the site's in production, its own elsewhere. Never the request's:
 * the key goes there.
 */
export function originOf(context, environ) {
  const { deploy, site } = context ?? {};
  const ofDeploy = deploy?.id && site?.name ? `https://${deploy.id}--${site.name}.netlify.app` : undefined;
  const isProduction = deploy?.context === "production";
  const address = isProduction ? (site?.url ?? environ.URL) : (environ.DEPLOY_URL ?? ofDeploy ?? environ.URL);
  return address ? new URL(address).origin : null;
}

/**
 * Send a run's event; returns why that failed, or null. `data` is a text, null for none. With `fnName`
 * no other function gets it that takes events of this name, and with `due` not before then. `isMoved` tells
 * that a function has got it that does not have its workflow.
 */
export async function wake({ id, event }, data, { origin, environ, fetch, fnName, due, isMoved }) {
  const [key] = keysIn(environ);
  if (!origin) return "the address of the site is not known";
  const item = {
    eventName: event.name,
    eventId: id,
    data: data === null ? undefined : new Raw(data),
    priority: event.priority || undefined,
    eventChain: event.chain,
    fnName,
    delayUntil: due ?? undefined,
    isMoved,
  };
  const query = `events=${encodeURIComponent(JSON.stringify([event.name]))}&client-context=awl-client`;
  try {
    const response = await fetch(`${origin}/.netlify/functions/async-workloads-router?${query}`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}` },
      body: toJson([item]),
      redirect: "error",
      signal: AbortSignal.timeout(LIMIT),
    });
    await response.arrayBuffer().catch(() => {}); // its head says whether the event was taken
    const isTaken = response.status >= 200 && response.status < 299 && response.headers.has("x-awl-ack");
    return isTaken ? null : `the router answered ${response.status}`;
  } catch (error) {
    return error.cause?.message ?? error.message;
  }
}
