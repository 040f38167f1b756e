// Functions in processes of their own, and the four ways to treat one when its response is over.

import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { fileURLToPath } from "node:url";

import { Bell } from "./bell.mjs";
import { clockOffset } from "./clock.mjs";
import { handedOn } from "./web.mjs";

const here = (file) => fileURLToPath(new URL(file, import.meta.url));

export class Workers {
  #workers = new Set();
  #freed = new Bell();
  #warden = spawn("sh", [here("warden.sh")], {
    detached: true, // so that an interrupt at the terminal does not end it first
    stdio: ["pipe", "ignore", "ignore"],
  });

  constructor(after) {
    this.after = after;
    this.#warden.stdin.on("error", () => {});
  }

  /** Ask one of the function's processes; returns [pid, response, over], the last to be called. */
  async call(fn, request, params) {
    const worker = await this.#take(fn);
    const over = () => this.#over(worker);
    try {
      return [worker.pid, await ask(worker, request, params), over];
    } catch (error) {
      await over();
      throw error;
    }
  }

  tellClock() {
    const connected = [...this.#workers].filter(({ child }) => child.connected);
    for (const { child } of connected) child.send({ clock: clockOffset() });
  }

  /** List the processes: their function, id and address, and whether they are busy or frozen. */
  list() {
    return [...this.#workers].map(({ child, exited, since, ...told }) => told);
  }

  /** Wait until no process is busy; false if that takes too long. */
  async free(limit = 150_000) {
    const began = performance.now();
    const isBusy = () => [...this.#workers].some((each) => each.busy);
    while (isBusy() && performance.now() - began < limit) await this.#freed.heard(began + limit - performance.now());
    return !isBusy();
  }

  /** End the workload's process that has been at work for longest, with all it has started; return how many that were. */
  killBusy() {
    const busy = [...this.#workers].filter((each) => each.busy && each.isWorkload);
    const [first] = busy.sort((one, other) => one.since - other.since);
    return first && signal(first, "SIGKILL") ? 1 : 0;
  }

  async stop() {
    await Promise.all([...this.#workers].map((worker) => this.#kill(worker)));
  }

  /** A process serves one invocation at a time, as on the platform; the next one gets another. */
  async #take(fn) {
    const waiting = [...this.#workers].find((each) => each.name === fn.name && !each.busy);
    if (!waiting) return this.#start(fn);
    waiting.busy = true;
    waiting.since = performance.now();
    if (waiting.frozen) signal(waiting, "SIGCONT");
    waiting.frozen = false;
    return waiting;
  }

  async #start(fn) {
    const settings = { path: fn.path, after: this.after, clock: clockOffset() };
    const child = fork(here("worker.mjs"), [JSON.stringify(settings)], {
      detached: true, // a process group of its own, frozen and ended with all it has started
      stdio: ["ignore", 2, 2, "ipc"], // our stdout is for the ready line alone
    });
    const { name, isWorkload } = fn;
    const worker = { name, isWorkload, pid: child.pid, child, busy: true, frozen: false, since: performance.now() };
    this.#workers.add(worker);
    child.on("error", () => {}); // a message to a process that is ending
    this.#warden.stdin.write(`+${worker.pid}\n`);
    worker.exited = once(child, "exit").then(() => this.#forget(worker));
    const message = await Promise.race([once(child, "message"), worker.exited]);
    if (!message) throw new Error(`the process of ${fn.name} ended before it was ready`);
    worker.address = message[0].address;
    return worker;
  }

  /** A response is over. Resolves when its process is as it shall be; one that ends stays busy. */
  async #over(worker) {
    if (this.after === "kill") return this.#kill(worker);
    if (this.after === "end") return worker.exited;
    if (this.after === "freeze") worker.frozen = signal(worker, "SIGSTOP");
    worker.busy = false;
    this.#freed.ring();
  }

  #kill(worker) {
    signal(worker, "SIGKILL");
    return worker.exited;
  }

  #forget(worker) {
    this.#workers.delete(worker);
    this.#freed.ring();
    signal(worker, "SIGKILL"); // what it has started and not ended
    this.#warden.stdin.write(`-${worker.pid}\n`);
  }
}

function signal({ pid }, name) {
  try {
    return process.kill(-pid, name);
  } catch {
    return false; // it has ended by itself
  }
}

async function ask(worker, { url, method, headers, body }, params) {
  const outgoing = http.request(worker.address, {
    path: new URL(url).pathname,
    method,
    agent: false, // a connection kept open would outlast a freeze
    headers: {
      ...handedOn(headers),
      "x-rig-url": url,
      "x-rig-clock": clockOffset(),
      "x-rig-params": JSON.stringify(params),
    },
  });
  outgoing.end(body);
  const [response] = await once(outgoing, "response");
  return response;
}
