import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { listening, makeAsk, makeBundle } from "./site.mjs";

const bundle = makeBundle();
const ask = makeAsk(bundle);
after(() => bundle.remove());

test("what a function returns becomes a response of its kind", async () => {
  const text = await ask("methods?what=text");
  assert.equal(text.headers.get("content-type"), "text/plain; charset=utf-8");
  assert.equal(await text.text(), "plain é");
  const plain = await ask("methods");
  assert.equal(plain.headers.get("content-type"), "application/json");
  assert.equal(await plain.text(), `{"path":"/api/methods","host":"shop.example","big":${2n ** 60n}}`);
  assert.deepEqual(await (await ask("methods?what=list")).json(), [{ name: "a", size: 1 }, { x: 1 }]);
  const bytes = new Uint8Array(await (await ask("methods?what=bytes")).arrayBuffer());
  assert.deepEqual([bytes.length, bytes[255], bytes[256]], [1024, 255, 0]);
});

test("nothing is 204, and other methods have their own functions", async () => {
  const nothing = await ask("methods?what=nothing");
  assert.deepEqual([nothing.status, nothing.body], [204, null]);
  assert.equal((await ask("methods", { method: "DELETE" })).status, 204);
  assert.equal(await (await ask("methods", { method: "PUT", body: "x" })).text(), "PUT");
});

test("a method without a function is 405 and says which there are", async () => {
  const refused = await ask("methods", { method: "PATCH", body: "x" });
  assert.equal(refused.status, 405);
  assert.equal(refused.headers.get("allow"), "GET, POST, PUT, DELETE, HEAD");
});

test("HEAD is get without its body", async () => {
  const head = await ask("methods?what=bytes", { method: "HEAD" });
  assert.deepEqual([head.status, head.headers.get("content-length"), head.body], [200, "1024", null]);
});

test("a body is read, validated, and refused with what is wrong", async () => {
  const good = await ask("methods", { method: "POST", body: '{"name": "é", "size": 3}' });
  assert.deepEqual(await good.json(), { name: "é", size: 3 });
  const bad = await ask("methods", { method: "POST", body: '{"size": 3}' });
  assert.equal(bad.status, 400);
  const { error } = await bad.json();
  assert.equal(error.code, "VALIDATION_ERROR");
  assert.deepEqual(error.details.issues[0].loc, ["name"]);
});

test("several cookies stay several", async () => {
  const response = await ask("methods?what=cookies");
  assert.deepEqual(
    response.headers.getSetCookie().map((each) => each.split(";")[0]),
    ["a=1", "b=2"],
  );
});

test("an error is 500 without a reason, which is in the log", async () => {
  let response, body;
  const said = await listening(async () => {
    response = await ask("methods?what=error");
    body = await response.text();
  });
  assert.deepEqual([response.status, body], [500, "Internal Server Error"]);
  const [[level, text]] = said;
  assert.equal(level, "error");
  assert.match(text, /^GET \/api\/methods\nTraceback[^]*methods\.py[^]*the secret reason$/);
});

test("an HTTPException is answered as it says", async () => {
  const response = await ask("methods?what=teapot");
  assert.deepEqual([response.status, response.headers.get("x-pot")], [418, "tea"]);
  assert.equal(await response.text(), "short and stout");
});

for (const [path, reason] of [
  ["methods?what=nan", /JSON compliant/],
  ["empty", /has neither `app` nor a function/],
  ["broken", /nothing_of_that_name/],
  ["missing", /No module named/],
  ["unknown", /no HTTP function 'unknown'/],
  ["streams/silent", /without a whole response/],
]) {
  test(`${path} is 500, and the log says why`, async () => {
    let response;
    const said = await listening(async () => (response = await ask(path)));
    assert.equal(response.status, 500);
    assert.match(said[0][1], reason);
  });
}

test("path parameters come from the platform, or else from the path", async () => {
  const name = "things/[id]";
  assert.deepEqual(await (await ask("things/a%20b", {}, { name })).json(), { id: "a b" });
  const context = { params: { id: "other" } };
  assert.deepEqual(await (await ask("things/7", {}, { name, context })).json(), { id: "other" });
});

test("an application is mounted at its path, and started once", async () => {
  for (const [path, within] of [["streams?q=%20", "/api/streams/"], ["streams/?q=%20", "/api/streams/"]]) {
    const text = await (await ask(path)).text();
    assert.equal(text, `('/api/streams', '${within}', b'q=%20', 1)`);
  }
});

test("a response streams", async () => {
  const response = await ask("streams/ticks");
  const texts = [];
  for await (const chunk of response.body) {
    texts.push(Buffer.from(chunk).toString());
    bundle.note("heard"); // the next is sent only then
  }
  assert.deepEqual(texts, ["data: 0\n\n", "data: 1\n\n", "data: 2\n\n"]);
});

test("a request streams: its echo comes while it is still being sent", async () => {
  const { readable, writable } = new TransformStream();
  const writer = writable.getWriter();
  writer.write(Buffer.from("one"));
  const response = await ask("streams/echo", { method: "POST", body: readable });
  const reader = response.body.getReader();
  assert.equal(Buffer.from((await reader.read()).value).toString(), "one");
  writer.write(Buffer.from([0, 255]));
  assert.deepEqual([...(await reader.read()).value], [0, 255]);
  writer.close();
  assert.equal((await reader.read()).done, true);
});

test("large bodies arrive whole, in both directions", async () => {
  const data = randomBytes(6_000_000);
  const hash = createHash("sha256").update(data).digest("hex");
  const up = await ask("streams/digest", { method: "POST", body: data });
  assert.equal(await up.text(), `6000000 ${hash}`);
  const down = await ask("streams/large");
  assert.equal((await down.arrayBuffer()).byteLength, 300 * 65_536);
  const both = await ask("streams/echo", { method: "POST", body: data });
  assert.equal(createHash("sha256").update(Buffer.from(await both.arrayBuffer())).digest("hex"), hash);
});

test("a slow reader slows the application down", async () => {
  const response = await ask("streams/large");
  const reader = response.body.getReader();
  await reader.read();
  await pause(300);
  let size = 65_536;
  for (let read; !(read = await reader.read()).done; ) size += read.value.length;
  assert.equal(size, 300 * 65_536);
});

test("a response of 100 MB in one piece takes as long as ten of 10 MB", { timeout: 200_000 }, async () => {
  const read = async (size) => {
    let length = 0;
    for await (const piece of (await ask(`streams/whole?${size}`)).body) length += piece.length;
    assert.equal(length, size);
  };
  await read(100_000_000); // copied again for each piece, it took minutes
});

test("an application is told that the client has gone", async () => {
  const response = await ask("streams/endless");
  const reader = response.body.getReader();
  await reader.read();
  await reader.cancel();
  for (let tries = 0; !bundle.noted().includes("client gone") && tries < 3_000; tries += 1) await pause(10);
  assert.ok(bundle.noted().includes("client gone"));
});

test("what fails in the middle breaks the response off", async () => {
  let failure;
  const said = await listening(async () => {
    const response = await ask("streams/breaks");
    assert.equal(response.status, 200);
    failure = await response.text().catch((error) => error);
  });
  assert.ok(failure instanceof Error);
  assert.ok(said.some(([, text]) => /in the middle/.test(text)));
});

test("a response ends when the application has, so that nothing is frozen half done", async () => {
  assert.equal(await (await ask("streams/after")).text(), "done");
  assert.ok(bundle.noted().includes("afterwards"));
});

test("requests side by side are told apart", async () => {
  const ended = [];
  // those that meet wait for each other: one after the other, they would for ever
  const asked = ["meets", "text", "meets", "list"].map(async (what) => {
    const { status } = await ask(`methods?what=${what}`);
    ended.push(what);
    return status;
  });
  assert.deepEqual(await Promise.all(asked), [200, 200, 200, 200]);
  assert.deepEqual(ended.toSorted(), ["list", "meets", "meets", "text"]);
});

test("the environment is that of the request", async () => {
  const read = async (context) => {
    const names = ["CONTEXT", "DEPLOY_ID", "KIT_ENTRY", "CHANGED", "NODE_OPTIONS"];
    const query = names.map((name) => `name=${name}`).join("&");
    return Object.values(await (await ask(`methods?what=environment&${query}`, {}, { context })).json());
  };
  process.env.CHANGED = "once";
  process.env.NODE_OPTIONS ??= "--no-warnings";
  const deploy = { context: "production", id: "d1" };
  assert.deepEqual(await read({ deploy }), ["production", "d1", "1", "once", null]);
  delete process.env.CHANGED;
  assert.deepEqual(await read({}), [null, null, "1", null, null]);
});

test("a crash of Python is 500, and the next request has another Python", async () => {
  const before = await (await ask("methods?what=pid")).json();
  let response;
  const said = await listening(async () => (response = await ask("methods?what=crash")));
  assert.equal(response.status, 500);
  assert.match(said.at(-1)[1], /the function methods: Python ended with exit status 9/);
  assert.notEqual(await (await ask("methods?what=pid")).json(), before);
});

test("a deploy has an address of its own, if what is told of it can be one", async () => {
  const address = async (context) => (await ask("methods?what=environment&name=DEPLOY_URL", {}, { context })).json();
  const site = { name: "my-shop" };
  const id = "0123456789abcdef01234567";
  assert.deepEqual(await address({ deploy: { id }, site }), { DEPLOY_URL: `https://${id}--my-shop.netlify.app` });
  for (const wrong of ["0", "evil.example/", `${id}.evil.example/`]) {
    assert.deepEqual(await address({ deploy: { id: wrong }, site }), { DEPLOY_URL: null });
  }
  assert.deepEqual(await address({ deploy: { id }, site: { name: "evil.example/" } }), { DEPLOY_URL: null });
});

test("workflows are started at the site, whatever a request's Host says, deferred ones before the response", async () => {
  const events = [];
  const server = createServer(async (incoming, outgoing) => {
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    // asked for a run's status, a site without a runs API has no such function
    if (incoming.method === "GET") return outgoing.writeHead(404).end("not found");
    await pause(50);
    events.push([incoming.headers.authorization, ...JSON.parse(Buffer.concat(chunks).toString())]);
    outgoing.writeHead(200, { "x-awl-ack": "ack" }).end("ack");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const site = { url: `http://127.0.0.1:${server.address().port}` };
  const before = { ...process.env };
  Object.assign(process.env, { AWL_API_KEY: "the-key", NO_PROXY: "127.0.0.1" });
  try {
    const there = makeAsk(bundle, { origin: "https://evil.example", context: { site } });
    const run = await (await there("starting", { method: "POST" })).json();
    assert.equal(run.status, "queued");
    assert.equal((await there("starting", { method: "PUT" })).status, 204);
    assert.deepEqual(
      events.map(([key, { eventId, data }]) => [key, data.by, eventId === run.id]),
      [["Bearer the-key", "run", true], ["Bearer the-key", "defer", false]],
    );
  } finally {
    process.env.AWL_API_KEY = before.AWL_API_KEY ?? "";
    server.closeAllConnections();
    server.close();
  }
});
