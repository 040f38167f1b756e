// Between node:http and the web's Request and Response, which functions take and give.

import { STATUS_CODES } from "node:http";

/** Headers that speak of one connection and are not handed on. */
const HOP_BY_HOP = ["connection", "keep-alive", "transfer-encoding", "content-length", "host"];

export async function readBody(incoming) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export function webRequest({ url, method, headers, body }) {
  const bare = method === "GET" || method === "HEAD";
  return new Request(url, { method, headers: handedOn(headers), body: bare ? undefined : body });
}

export function handedOn(headers) {
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => !HOP_BY_HOP.includes(name) && !name.startsWith("x-rig-"))
      .map(([name, value]) => [name, String(value)]),
  );
}

/** Write a web Response, chunk by chunk as it comes; does not end it. */
export async function writeResponse(outgoing, response) {
  writeHead(outgoing, response.status, Object.fromEntries(response.headers));
  for await (const chunk of response.body ?? []) {
    // a caller that has gone does not stop the function: read on to the end
    if (!outgoing.destroyed) outgoing.write(chunk);
  }
}

export function writeHead(outgoing, status, headers) {
  if (outgoing.destroyed) return;
  outgoing.writeHead(status, STATUS_CODES[status] ?? "", handedOn(headers));
  outgoing.flushHeaders(); // the caller acts on the head, long before the end
}

export function writeJson(outgoing, status, value) {
  outgoing.writeHead(status, { "content-type": "application/json" });
  outgoing.end(JSON.stringify(value));
}
