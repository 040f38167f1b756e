// One function's process, as a serverless platform keeps it: `node worker.mjs <settings>`, forked.
//
// Serves its function over HTTP on loopback and tells the parent its port. With `after: "end"` it
// ends itself in the moment its response is written, whatever the function is still doing.

import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

import { installClock, setClock } from "./clock.mjs";
import { listen } from "./listener.mjs";
import { callFunction, installRuntime } from "./runtime.mjs";
import { readBody, webRequest, writeResponse } from "./web.mjs";

const { path, after, clock } = JSON.parse(process.argv[2]);

process.on("disconnect", () => process.exit(0)); // never outlive the rig
process.on("message", ({ clock }) => setClock(clock));
installClock(clock);
installRuntime();
const { default: handler } = await import(pathToFileURL(path).href);

const server = createServer(async (incoming, outgoing) => {
  // the message about the clock may still be unread in a process that was frozen
  setClock(Number(incoming.headers["x-rig-clock"]));
  const { "x-rig-url": url, "x-rig-params": params } = incoming.headers;
  const { method, headers } = incoming;
  const request = webRequest({ url, method, headers, body: await readBody(incoming) });
  try {
    const [response, settled] = await callFunction(handler, request, JSON.parse(params));
    await writeResponse(outgoing, response);
    if (after !== "end") await settled();
  } catch (error) {
    console.error(error);
    if (!outgoing.headersSent) outgoing.writeHead(500);
  }
  outgoing.end();
  if (after === "end") process.exit(0); // in place: what was written is in the socket already
});
process.send({ address: await listen(server) });
