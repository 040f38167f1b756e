// Netlify Blobs on loopback, in memory: what the live service is held to promise, and its faults.
//
// Unlike the package's own local server it is atomic, its etags are the quoted MD5 of the body (as
// seen on the live service), reads carry them, and it does not listen on every interface.
//
// A rule spoils requests: {"do", "op"?: "PUT"|"GET"|"HEAD"|"DELETE"|"LIST", "key"?: regular
// expression on "<store>/<key>", "times"?: 1, "after"?: 0, "ms"?, "status"?, "span"?}; with `span` all
// requests of so many ms from the first on. `do` is one of
//   lost         the write lands, its answer does not: the connection is cut
//   refused      nothing is done, and `status` is the answer: 503 unless given
//   denied       the same with 401
//   delay        answered after `ms`, having been carried out before
//   late         answered and carried out after `ms`
//   untagged     answered without an etag
//   two-winners  a condition that does not hold is not noticed
//   kill-before  `kill` is called, and nothing is done
//   kill-after   it is done, and `kill` is called before the answer
//   kill-later   it is done and answered, and `kill` is called `ms` after

import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

export const TOKEN = "rig-blobs-token";
const PAGE = 1_000;

/** Serve blobs; `follow` is given each response. Returns the address, and a way into it all. */
export async function listenForBlobs({ follow = () => {} } = {}) {
  const blobs = new Blobs();
  const server = createServer((incoming, outgoing) => {
    follow(outgoing);
    blobs.serve(incoming, outgoing).catch(() => outgoing.destroy());
  });
  const address = await listen(server);
  const close = () => new Promise((closed) => server.close(closed) && server.closeAllConnections());
  return { address, blobs, close };
}

export async function listen(server) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${server.address().port}`;
}

/** Return what the runtime puts into NETLIFY_BLOBS_CONTEXT. */
export function contextOf(address, { siteID, deployID }) {
  const urls = { edgeURL: address, uncachedEdgeURL: address };
  const context = { ...urls, token: TOKEN, siteID, deployID, primaryRegion: "us-east-2" };
  return Buffer.from(JSON.stringify(context)).toString("base64");
}

/** All stores of all sites. */
export class Blobs {
  #stores = new Map(); // by "site/store": entries by key
  rules = [];
  log = []; // {op, key, status, bytes}
  kill = () => {};

  clear() {
    this.#stores.clear();
    this.rules.length = 0;
    this.log.length = 0;
  }

  spoil(rule) {
    this.rules.push({ times: 1, after: 0, status: 503, key: "", ...rule });
  }

  /** The texts of a store, by key. */
  contents(store) {
    return Object.fromEntries([...(this.#stores.get(store) ?? [])].map(([key, { body }]) => [key, body.toString()]));
  }

  async serve(incoming, outgoing) {
    const parts = [];
    for await (const part of incoming) parts.push(part);
    const body = Buffer.concat(parts);
    const [site, store, key, query] = placeOf(incoming.url);
    const isList = incoming.method === "GET" && !key;
    const op = isList ? "LIST" : incoming.method;
    const rule = this.#rule(op, `${store}/${key || query.get("prefix") || ""}`);
    if (rule?.do === "late") await pause(rule.ms);
    if (rule?.do === "kill-before") return this.#kill(outgoing);
    const refusal = this.#refusal(incoming, rule);
    const ask = { op, site, store, key, query, body, headers: incoming.headers, rule };
    const [status, headers, content] = refusal ?? this.#answer(ask);
    this.log.push({ op, key: `${store}/${key}`, status, bytes: body.length });
    if (rule?.do === "lost") return outgoing.destroy();
    if (rule?.do === "kill-after") return this.#kill(outgoing);
    if (rule?.do === "delay") await pause(rule.ms);
    if (rule?.do === "untagged") delete headers.etag;
    if (rule?.do === "kill-later") setTimeout(() => this.kill(), rule.ms);
    outgoing.writeHead(status, headers).end(content);
  }

  #kill(outgoing) {
    this.kill();
    outgoing.destroy();
  }

  #rule(op, key) {
    const now = performance.now();
    const fits = (rule) => (rule.times > 0 || now < rule.until) && (rule.op ?? op) === op && new RegExp(rule.key).test(key);
    const rule = this.rules.find(fits);
    if (!rule) return null;
    if (rule.after > 0) return void (rule.after -= 1);
    rule.times -= 1;
    rule.until ??= now + (rule.span ?? 0);
    return rule;
  }

  #refusal({ headers }, rule) {
    if (headers.authorization !== `Bearer ${TOKEN}` || rule?.do === "denied") return [401, {}];
    return rule?.do === "refused" ? [rule.status, {}] : null;
  }

  #answer({ op, site, store, key, query, body, headers, rule }) {
    if (!store) return json({ stores: this.#storesOf(site, query.get("prefix") ?? "") });
    const name = `${site}/${store}`;
    if (!this.#stores.has(name)) this.#stores.set(name, new Map());
    const entries = this.#stores.get(name);
    if (op === "PUT") return put(entries, key, body, headers, rule?.do === "two-winners");
    if (op === "LIST") return json(pageOf(entries, query));
    if (op === "DELETE") return [entries.delete(key) ? 204 : 404, {}];
    return read(entries.get(key), op, headers);
  }

  #storesOf(site, prefix) {
    const found = [...this.#stores].filter(([, entries]) => entries.size);
    const names = found.map(([name]) => name).filter((name) => name.startsWith(`${site}/${prefix}`));
    return names.map((name) => name.slice(site.length + 1));
  }
}

function placeOf(address) {
  const { pathname, searchParams } = new URL(address, "http://local");
  const parts = pathname.slice(1).split("/");
  if (parts[0].startsWith("region:")) parts.shift();
  const [site, store = "", ...rest] = parts;
  return [site, store, rest.join("/"), searchParams];
}

function put(entries, key, body, headers, everyoneWins) {
  const current = entries.get(key);
  const match = headers["if-match"];
  const holds = headers["if-none-match"] === "*" ? !current : !match || match === current?.etag;
  if (!holds && !everyoneWins) return [412, {}];
  // a file and a folder of one name, which a server that keeps files cannot have
  const isInTheWay = (other) => other.startsWith(`${key}/`) || key.startsWith(`${other}/`);
  if (!current && [...entries.keys()].some(isInTheWay)) return [500, {}];
  const etag = `"${createHash("md5").update(body).digest("hex")}"`;
  entries.set(key, { body, etag, metadata: headers["x-amz-meta-user"] });
  return [200, { etag }];
}

function read(found, op, headers) {
  if (!found) return [404, {}];
  const said = { etag: found.etag, ...(found.metadata && { "x-amz-meta-user": found.metadata }) };
  if (headers["if-none-match"] === found.etag) return [304, said];
  return [200, said, op === "GET" ? found.body : undefined];
}

function pageOf(entries, query) {
  const [prefix, cursor] = [query.get("prefix") ?? "", query.get("cursor") ?? ""];
  const folders = new Set();
  const keys = [];
  for (const key of [...entries.keys()].sort()) {
    if (!key.startsWith(prefix)) continue;
    const end = query.get("directories") ? key.indexOf("/", prefix.length) : -1;
    if (end >= 0) folders.add(key.slice(0, end));
    else if (key > cursor) keys.push(key);
  }
  const shown = keys.slice(0, PAGE);
  const blobs = shown.map((key) => ({ key, etag: entries.get(key).etag, size: entries.get(key).body.length }));
  return { blobs, directories: [...folders], ...(keys.length > PAGE && { next_cursor: shown.at(-1) }) };
}

const json = (value) => [200, { "content-type": "application/json" }, JSON.stringify(value)];
