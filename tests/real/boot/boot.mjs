// Stands in for what Lambda runs in a Node function: it asks the Runtime API for one invocation after
// the other, hands each to the handler of Netlify's generated entry, and streams the answer back.
//
// Everything comes from the environment, as on Lambda. Besides, each time it asks for work it tells in
// a header how long the last invocation took here: from its arrival, and since the process began.

import http from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response";
const { AWS_LAMBDA_RUNTIME_API: api, LAMBDA_TASK_ROOT: root, _HANDLER: handler } = process.env;
const { Agent, request } = http; // Netlify's part replaces `request`
const agent = new Agent({ keepAlive: true });
const streaming = Symbol("streaming");

globalThis.awslambda = {
  streamifyResponse: (work) => Object.assign(work, { [streaming]: true }),
  HttpResponseStream: {
    from(stream, prelude) {
      stream.setHeader("content-type", PRELUDE_TYPE);
      stream.write(`${JSON.stringify(prelude)}${"\0".repeat(8)}`);
      return stream;
    },
  },
};

process.on("uncaughtException", (error) => fail("", error, 129));
process.on("unhandledRejection", (error) => fail("", error, 128));

const [file, name] = handler.split(/\.(?=[^.]+$)/);
let work;
let last = {};
try {
  work = (await import(pathToFileURL(join(root, `${file}.mjs`)).href))[name];
  if (!work?.[streaming]) throw new Error(`${handler} does not stream`);
} catch (error) {
  await fail("init", error, 1);
}
for (;;) await serve();

async function serve() {
  const { headers, body } = await ask("GET", "invocation/next", { "x-boot-last": JSON.stringify(last) });
  const began = performance.now();
  const id = headers["lambda-runtime-aws-request-id"];
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  const context = { awsRequestId: id, getRemainingTimeInMillis: () => deadline - Date.now() };
  const stream = open("POST", `invocation/${id}/response`, {
    "lambda-runtime-function-response-mode": "streaming",
    "transfer-encoding": "chunked",
    trailer: "lambda-runtime-function-error-type",
  });
  const taken = response(stream);
  taken.catch(() => {}); // where the stream is given up
  try {
    await work(JSON.parse(body), stream, context);
    if (!stream.writableEnded) stream.end();
    await taken;
  } catch (error) {
    console.error(error);
    if (stream.headersSent && !stream.destroyed) {
      stream.addTrailers({ "lambda-runtime-function-error-type": error?.name ?? "Error" });
      stream.end();
      await taken.catch(() => {});
    } else {
      stream.destroy();
      await report(`invocation/${id}`, error);
    }
  }
  const ended = performance.now();
  last = { took: ended - began, up: ended };
}

/** The process of a function that cannot go on is ended, and the platform starts another. */
async function fail(where, error, status) {
  console.error(error);
  if (where) await report(where, error);
  process.exit(status);
}

function report(where, error) {
  const told = { errorType: error?.name, errorMessage: String(error?.message ?? error) };
  return ask("POST", `${where}/error`, {}, JSON.stringify(told));
}

function open(method, path, headers) {
  return request(`http://${api}/2018-06-01/runtime/${path}`, { method, headers, agent });
}

async function ask(method, path, headers, body) {
  const outgoing = open(method, path, headers);
  outgoing.end(body);
  return response(outgoing);
}

function response(outgoing) {
  return new Promise((resolve, reject) => {
    outgoing.on("error", reject);
    outgoing.on("response", async (incoming) => {
      const parts = [];
      try {
        for await (const part of incoming) parts.push(part);
        resolve({ headers: incoming.headers, body: Buffer.concat(parts).toString() });
      } catch (error) {
        reject(error);
      }
    });
  });
}
