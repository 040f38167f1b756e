// The real engine on loopback: the published @netlify/async-workloads, run as its extension does.
//
//   node rig.mjs --functions DIR [--process in-process|one]
//                [--after run|freeze|end|kill] [--key KEY] [--calm LOOKS]
//
// Prints one line of JSON when ready: {"url", "key", "pid", "functions": [names]}. Ends when its
// input closes or on SIGTERM. Serves the router, scheduler, five processors, management API and the
// functions of DIR (workloads, and plain ones with or without `config.path`) as a site would, over
// blobs of its own (listener.mjs). Nothing goes by time: the scheduler runs when it is told to.
// Functions get this process's environment, and what the platform would add to it.
//
// Where workloads run (--process; the engine's own functions always run in this process):
//   in-process      here; the default
//   one             a process per function, kept and used again; another one while it is busy
// A request with the header `x-rig-here` is served here in any case: it only looks.
//
// What becomes of a process when its response stream has closed (--after):
//   run     it runs on: code after a step goes on, as under a late freeze
//   freeze  SIGSTOP for it and all it started; SIGCONT when the next request comes, which the same
//           process serves: code after a step goes on then
//   end     it exits by itself as soon as the response is written, as under `netlify dev`
//   kill    SIGKILL
//
// Control, as JSON, without a key:
//   POST /rig/tick      the scheduler once, and all that comes of it; answers the requests it took
//   GET  /rig/idle      waits until nothing is under way
//   POST /rig/clock     {"advance": ms} puts the engine's and the workloads' clock forward
//   POST /rig/answers   {"times": n, "fn"?, "status"?, "headers"?, "body"?, "delay"?, "drop"?,
//                       "pass"?, "skip"?}: answers the next n requests to `fn` (default: the
//                       router) so, after the first `skip`;
//                       `drop` cuts the connection, `pass` lets the function do its work first
//   GET  /rig/events    what the five stores hold: {state: [{key, metadata, body}]}
//   GET  /rig/blobs     what every store of the site holds
//   POST /rig/store     {"do", …}: spoils requests to Netlify Blobs; listener.mjs has the rules
//   DELETE /rig/store   spoils them no more
//   GET  /rig/store     the requests to Netlify Blobs, in order: {op, key, status, bytes}
//   GET  /rig/kills     how many processes rules have killed
//   GET  /rig/log       the requests in order, without the key
//   GET  /rig/seen      what workloads have reported (POST adds)
//   GET  /rig/workers   the functions' processes
//   POST /rig/reset     empties stores, lists and answers, ends workers, puts the clock right

import { Console } from "node:console";
import { createServer } from "node:http";
import { resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";

import { blobsContext, parsed, startBlobs, storedBlobs, storedEvents } from "./blobs.mjs";
import { clockOffset, installClock, setClock } from "./clock.mjs";
import { PREFIX, ROUTER, SCHEDULER } from "./functions.mjs";
import { engineFunctions, findFunction, findFunctions } from "./functions.mjs";
import { listen } from "./listener.mjs";
import { DEPLOY_ID, SITE_ID, callFunction, installRuntime } from "./runtime.mjs";
import { Traffic } from "./traffic.mjs";
import { handedOn, readBody, webRequest, writeHead, writeJson, writeResponse } from "./web.mjs";
import { Workers } from "./workers.mjs";

const { values: options } = parseArgs({
  options: {
    functions: { type: "string" },
    process: { type: "string", default: "in-process" },
    after: { type: "string", default: "run" },
    key: { type: "string", default: "rig-key" },
    calm: { type: "string" },
  },
});

checkChoice("process", ["in-process", "one"]);
checkChoice("after", ["run", "freeze", "end", "kill"]);

globalThis.console = new Console(process.stderr, process.stderr); // stdout is for the ready line
const isApart = options.process !== "in-process";
// code that runs on after its response comes back to us later from another process
const traffic = new Traffic(Number(options.calm ?? (isApart ? 10 : 4)));
const workers = isApart ? new Workers(options.after) : null;
const log = [];
const seen = [];
const answers = [];
let functions = [];

process.stdin.on("end", stop).on("error", stop).resume();
process.on("SIGTERM", stop).on("SIGINT", stop);
process.on("unhandledRejection", (error) => console.error("unhandled:", error)); // as the platform

const server = createServer((incoming, outgoing) => {
  serve(incoming, outgoing).catch((error) => {
    console.error(error);
    if (outgoing.headersSent) return outgoing.destroy();
    writeJson(outgoing, 500, { error: String(error?.stack ?? error) });
  });
});
server.keepAliveTimeout = 60_000; // a connection closed under a caller would look like a failure
const url = await listen(server);
const { address: blobsAddress, blobs } = await startBlobs(traffic);
let kills = 0;
blobs.kill = () => void (kills += workers.killBusy());
prepareProcess();
const found = await findFunctions(resolve(options.functions ?? "."));
functions = [...(await engineFunctions(found.filter((each) => each.isWorkload))), ...found];
const names = found.map((each) => each.name);
const ready = { url, key: options.key, pid: process.pid, functions: names };
process.stdout.write(`${JSON.stringify(ready)}\n`);

function checkChoice(name, choices) {
  if (choices.includes(options[name])) return;
  console.error(`--${name} is one of ${choices.join(", ")}`);
  process.exit(2);
}

/** Everything the engine may read once, before it is imported; workers inherit the variables. */
function prepareProcess() {
  installClock();
  installRuntime();
  Object.assign(process.env, {
    AWL_API_KEY: options.key,
    URL: url,
    DEPLOY_URL: url,
    SITE_ID,
    DEPLOY_ID,
    NETLIFY_BLOBS_CONTEXT: blobsContext(blobsAddress),
  });
}

async function stop() {
  setTimeout(() => process.exit(1), 5_000).unref();
  await workers?.stop();
  process.exit(0);
}

// ------------------------------------------------------------ requests

async function serve(incoming, outgoing) {
  const body = await readBody(incoming);
  const address = new URL(incoming.url, url);
  if (address.pathname.startsWith("/rig/")) return control(incoming, address, body, outgoing);
  const end = traffic.begin();
  try {
    const [fn, params] = findFunction(functions, address.pathname);
    if (!fn) return writeJson(outgoing, 404, null);
    const { method, headers } = incoming;
    const request = { url: address.href, method, headers, body };
    await recorded(fn, request, outgoing, () => answer(fn, request, params, outgoing));
  } finally {
    end();
  }
}

/** Keep a request in the log, with what was answered. */
async function recorded(fn, { url, method, headers, body }, outgoing, work) {
  const { pathname, searchParams } = new URL(url);
  const { authorization, ...rest } = handedOn(headers);
  const entry = {
    fn: fn.name,
    method,
    path: pathname,
    query: Object.fromEntries(searchParams),
    headers: rest,
    hasKey: authorization !== undefined,
    body: parsed(body.toString()),
    clock: Date.now(),
    status: null,
    ended: false,
  };
  log.push(entry);
  try {
    entry.pid = (await work()) ?? process.pid;
  } finally {
    entry.status = outgoing.headersSent ? outgoing.statusCode : null; // null: cut
    entry.answered = outgoing.headersSent ? { ...outgoing.getHeaders() } : {};
    entry.ended = true;
  }
}

async function answer(fn, request, params, outgoing) {
  const bad = answers.find((each) => each.fn === fn.name);
  if (!bad || bad.skip-- > 0) return run(fn, request, params, outgoing);
  if ((bad.times -= 1) <= 0) answers.splice(answers.indexOf(bad), 1);
  if (bad.pass) await execute(fn, request, params, nowhere);
  await pause(bad.delay);
  if (bad.drop) return void outgoing.destroy();
  outgoing.writeHead(bad.status, bad.headers);
  outgoing.end(bad.body);
}

/** Run a function; resolves when its response is over, to the id of the process it ran in. */
async function run(fn, request, params, outgoing) {
  if (!fn.name.endsWith("-background")) return execute(fn, request, params, outgoing);
  outgoing.writeHead(202).end(); // at once; nothing it answers is heard
  return execute(fn, request, params, nowhere);
}

/** Where a response goes that is read to its end and heard by nobody. */
const nowhere = { destroyed: true, headersSent: true, end() {}, destroy() {} };

function execute(fn, request, params, outgoing) {
  const isHere = fn.isEngine || !isApart || "x-rig-here" in request.headers;
  const way = isHere ? runHere : runApart;
  return way(fn, request, params, outgoing);
}

async function runHere(fn, request, params, outgoing) {
  try {
    const [response, settled] = await callFunction(fn.handler, webRequest(request), params);
    await writeResponse(outgoing, response);
    outgoing.end();
    await settled();
  } catch (error) {
    failed(fn, error, outgoing, 500);
  }
}

async function runApart(fn, request, params, outgoing) {
  let over = () => {};
  try {
    let pid, response;
    [pid, response, over] = await workers.call(fn, request, params);
    writeHead(outgoing, response.statusCode, response.headers);
    for await (const chunk of response) if (!outgoing.destroyed) outgoing.write(chunk);
    outgoing.end();
    return pid;
  } catch (error) {
    failed(fn, error, outgoing, 502); // its process died
  } finally {
    await over();
  }
}

function failed(fn, error, outgoing, status) {
  console.error(`${fn.name}:`, error);
  if (outgoing.headersSent) return outgoing.destroy();
  outgoing.writeHead(status);
  outgoing.end();
}

// ------------------------------------------------------------ control

async function control(incoming, { pathname }, body, outgoing) {
  const command = COMMANDS[`${incoming.method} ${pathname}`];
  if (!command) return writeJson(outgoing, 404, { error: `no ${incoming.method} ${pathname}` });
  const given = body.length ? JSON.parse(body.toString()) : {};
  writeJson(outgoing, 200, (await command(given)) ?? {});
}

const PLAIN_ANSWER = { times: 1, fn: ROUTER, status: 200, headers: {}, body: "", delay: 0, skip: 0 };

const COMMANDS = {
  "POST /rig/tick": tick,
  "GET /rig/idle": settle,
  "POST /rig/clock": ({ advance = 0 }) => moveClock(clockOffset() + advance),
  "POST /rig/answers": (given) => void answers.push({ ...PLAIN_ANSWER, ...given }),
  "GET /rig/events": storedEvents,
  "GET /rig/blobs": storedBlobs,
  "POST /rig/store": (given) => void blobs.spoil(given),
  "DELETE /rig/store": () => void (blobs.rules.length = 0),
  "GET /rig/store": () => blobs.log,
  "GET /rig/kills": () => ({ kills }),
  "GET /rig/log": () => log,
  "GET /rig/seen": () => seen,
  "POST /rig/seen": (given) => void seen.push(given),
  "GET /rig/workers": () => workers?.list() ?? [],
  "GET /rig/free": free,
  "POST /rig/reset": reset,
};

async function tick() {
  await settle();
  const before = log.length;
  await (await fetch(url + PREFIX + SCHEDULER, { method: "POST" })).arrayBuffer();
  await settle();
  return log.slice(before);
}

async function settle() {
  if (await traffic.idle()) return;
  const open = log.filter((each) => !each.ended).map((each) => each.fn);
  throw new Error(`the rig does not come to rest; under way: ${open.join(", ") || "blobs"}`);
}

async function free() {
  if ((await workers?.free()) === false) throw new Error("a function's process stays busy");
}

function moveClock(offset) {
  setClock(offset);
  workers?.tellClock();
  return { offset, now: Date.now() };
}

async function reset() {
  await workers?.stop();
  await settle();
  blobs.clear();
  for (const list of [log, seen, answers]) list.length = 0;
  kills = 0;
  moveClock(0);
}
