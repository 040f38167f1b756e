// One Python process per warm function, and what it and Node say to each other: one JSON object a
// line over descriptor 3, as kit/deploy/function/protocol.py has it.
//
// Nothing happens at import: nine other functions of the site import every workflow's entry.

import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { environment } from "./environment.mjs";

const MANIFEST = "manifest.json";
const BUNDLE = join(".kit", "bundle");
const ENDINGS = new Set(["completed", "suspended", "failed", "end"]);
const TAIL = 2_000; // characters of what a process said last, to be told when it dies

// after Python's own folders, so that a package cannot stand in for a part of Python; what is imported
// is there to stay, so nothing of it is looked through for garbage, which is 5 % of the start
const BOOTSTRAP =
  "import gc, sys; gc.disable(); sys.path += sys.argv[1:]; del sys.argv[1:]; from kit.deploy.function.child import main; main()";

const alive = new Set(); // processes that must not outlast this one
const folders = new Map();
const bridges = new Map();

/** Return the bridge to the Python in the bundle of the function whose entry is at `metaUrl`. */
export function bridgeOf(metaUrl) {
  if (!folders.has(metaUrl)) folders.set(metaUrl, findBundle(metaUrl));
  const folder = folders.get(metaUrl);
  if (!bridges.has(folder)) bridges.set(folder, new Bridge(folder));
  return bridges.get(folder);
}

function findBundle(metaUrl) {
  const tried = [];
  const isBundle = (folder) => tried.push(folder) && existsSync(join(folder, MANIFEST));
  const given = process.env.KIT_BUNDLE;
  if (given && isBundle(given)) return resolve(given);
  for (let at = dirname(fileURLToPath(metaUrl)); ; at = dirname(at)) {
    if (isBundle(join(at, BUNDLE))) return join(at, BUNDLE);
    if (at === dirname(at)) break;
  }
  const root = process.env.LAMBDA_TASK_ROOT;
  if (root && isBundle(join(root, BUNDLE))) return join(root, BUNDLE);
  throw new Error(`no Python bundle with a ${MANIFEST}: build with \`kit build\`. Tried ${tried.join(", ")}`);
}

/** Seconds as people read them. */
export const seconds = (ms) => `${Math.round(ms / 100) / 10} s`;

/** Calls into Python. A process that has died, or is spent, is followed by another. */
class Bridge {
  #folder;
  #manifest;
  #child = null;

  constructor(folder) {
    this.#folder = folder;
    this.#manifest = JSON.parse(readFileSync(join(folder, MANIFEST), "utf8"));
  }

  /** Start Python if it is not running; it boots, and imports `workflow`, while others do other things. */
  start(context, workflow) {
    if (!this.#child?.isUsable) {
      const environ = environment(context, this.#folder);
      this.#child = new Child(this.#folder, this.#manifest, environ);
      if (workflow) this.#child.prepare(workflow);
    }
    return this.#child;
  }

  /**
   * Begin a call. `receive` is given its frames; the last is of a type in ENDINGS, and comes in any
   * case: `failed` after `deadline` ms, or if Python dies. `what` is called, and what `advice` there is
   * if it takes too long, goes into errors. Returns how to send further frames.
   */
  call(frame, { context, ...how }) {
    const child = this.start(context);
    return child.call(frame, environment(context, this.#folder), how);
  }
}

/** One Python process. */
class Child {
  isUsable = true;
  #calls = new Map();
  #number = 0;
  #known;
  #process;
  #pipe;
  #waiting = []; // what to do when Python is ready
  #isReady = false;
  #tail = "";
  #verdict = null; // why we have ended it

  constructor(folder, manifest, environ) {
    const { python, root, paths } = manifest;
    const places = [...paths, root].map((each) => resolve(folder, each));
    const flags = ["-s", "-P", "-X", "utf8", "-X", "faulthandler", "-c", BOOTSTRAP];
    this.#known = environ;
    this.#process = spawn(resolve(folder, python), [...flags, ...places], {
      cwd: resolve(folder, root),
      env: environ,
      stdio: ["ignore", "pipe", "pipe", "pipe"],
    });
    this.#process.on("error", (error) => this.#lost(`Python could not be started: ${error.message}`));
    this.#process.on("exit", (code, signal) => this.#exited(code, signal));
    const [, out, err, pipe] = this.#process.stdio;
    this.#pipe = pipe;
    lines(out, (line) => console.log(line));
    lines(err, (line) => this.#complain(line));
    lines(pipe, (line) => this.#read(line));
    // as a rule the process has ended, which will be told in a moment
    pipe.on("close", () => setTimeout(() => this.end("it closed its connection to Node"), 500).unref());
    if (!process.listeners("exit").includes(endAll)) process.once("exit", endAll);
    alive.add(this);
    this.#hold(false);
  }

  prepare(workflow) {
    this.#whenReady(() => this.#write({ type: "prepare", workflow }));
  }

  call(frame, environ, { deadline, what, advice, receive }) {
    const call = (this.#number += 1);
    const began = performance.now();
    const timer = setTimeout(() => this.#expire(call, deadline), deadline);
    this.#calls.set(call, { receive, timer, what, advice });
    this.#hold(true);
    this.#whenReady(() => {
      const timeLeft = (deadline - (performance.now() - began)) / 1000;
      const known = this.#known;
      try {
        // its number comes first: Python can tell of a call it cannot read
        this.#write({ type: frame.type, call, timeLeft, ...this.#changes(environ), ...frame });
      } catch (error) {
        this.#known = known;
        this.#fail(call, { type: error.name, message: `${what} was given what is no JSON: ${error.message}` }, true);
      }
    });
    return (more) => this.#whenReady(() => this.#calls.has(call) && this.#write({ ...more, call }));
  }

  /** End the process; what it still has to do fails. */
  end(verdict) {
    this.isUsable = false;
    this.#verdict ??= verdict;
    this.#process.kill("SIGKILL");
  }

  /** Keep Node alive while something is under way, and only then. */
  #hold(isBusy) {
    const how = isBusy ? "ref" : "unref";
    for (const each of [this.#process, ...this.#process.stdio]) each?.[how]?.();
  }

  #whenReady(work) {
    if (this.#isReady) work();
    else this.#waiting.push(work);
  }

  #write(frame) {
    this.#pipe.write(`${JSON.stringify(frame)}\n`);
  }

  /** What has changed in the environment since Python was last told. */
  #changes(environ) {
    const known = this.#known;
    this.#known = environ;
    const env = Object.fromEntries(Object.entries(environ).filter(([name, value]) => known[name] !== value));
    return { env, unset: Object.keys(known).filter((name) => !(name in environ)) };
  }

  #read(line) {
    if (this.#verdict) return; // what it says now cannot be relied on
    let frame;
    try {
      frame = JSON.parse(line);
    } catch (error) {
      return this.end(`something wrote to descriptor 3, which is the kit's own (${error.message})`);
    }
    this.#receive(frame);
  }

  #receive(frame) {
    if (frame.type === "log") return print(frame);
    if (frame.type === "ready") {
      this.#isReady = true;
      for (const work of this.#waiting.splice(0)) work();
      return;
    }
    const call = this.#calls.get(frame.call);
    if (!call) return;
    if (ENDINGS.has(frame.type)) this.#over(frame);
    call.receive(frame);
  }

  #over({ call, isSpent }) {
    clearTimeout(this.#calls.get(call).timer);
    this.#calls.delete(call);
    if (isSpent) this.isUsable = false; // something in it may not have stopped with its call
    if (this.#calls.size) return;
    if (!this.isUsable) this.end("its time was over");
    this.#hold(false);
  }

  #expire(number, deadline) {
    const { what, advice } = this.#calls.get(number);
    this.#fail(number, {
      type: "TimeoutError",
      code: "FUNCTION_TIMED_OUT",
      message:
        `${what} was cut off after ${seconds(deadline)}, the limit of its function, and did not` +
        ` stop when asked to; ${advice}`,
    });
    this.end("another call in it had to be cut off");
  }

  #complain(line) {
    this.#tail = `${this.#tail}\n${line}`.slice(-TAIL);
    console.error(line);
  }

  #exited(code, signal) {
    const how = signal ? `by ${signal}` : `with exit status ${code}`;
    const memory = signal === "SIGKILL" && !this.#verdict ? ", as happens when memory runs out" : "";
    const why = this.#verdict ? `, since ${this.#verdict}` : `${memory}. It said last:${this.#tail || " nothing"}`;
    const message = `Python ended ${how}${why}`;
    this.isUsable = false;
    // its last words may still be in the pipes, but something it has started may hold them open
    const timer = setTimeout(() => this.#lost(message), 1_000);
    this.#process.once("close", () => {
      clearTimeout(timer);
      this.#lost(message);
    });
  }

  #lost(message) {
    this.isUsable = false;
    alive.delete(this);
    for (const number of [...this.#calls.keys()]) {
      this.#fail(number, { type: "PythonEnded", message: `${this.#calls.get(number).what}: ${message}` });
    }
    for (const each of this.#process.stdio) each?.destroy();
  }

  #fail(call, error, final = false) {
    this.#receive({ type: "failed", call, final, error: { traceback: "", ...error } });
  }
}

function endAll() {
  for (const each of alive) each.end("Node has ended");
}

function print({ level, text, eventId }) {
  console[level](eventId ? `[${eventId}] ${text}` : text);
}

/** Call `take` with every line of a stream. */
function lines(stream, take) {
  let parts = [];
  const end = () => parts.length && take(parts.splice(0).join(""));
  stream.setEncoding("utf8");
  stream.on("error", () => {}).on("end", end);
  stream.on("data", (text) => {
    const found = text.split("\n");
    while (found.length > 1) {
      parts.push(found.shift());
      end();
    }
    if (found[0]) parts.push(found[0]);
  });
}
