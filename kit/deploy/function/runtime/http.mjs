// A Python HTTP function: the request and its body go in, the response and its body come out, both
// streamed piece by piece.

import { bridgeOf } from "./bridge.mjs";

const LIMIT = 59_000; // ms; the platform's own is 60 s
const WINDOW = 16; // pieces of a body on their way; kit/deploy/function/exchange.py has the same
const PIECE = 131_072;
const WITHOUT_BODY = new Set([204, 205, 304]);

/** Return the function of an entry; `name` is the HTTP function's, as in the manifest. */
export function http({ name, metaUrl, limit = LIMIT }) {
  return (request, context) =>
    new Promise((answer) => {
      try {
        new Exchange(request, context, answer).begin(name, metaUrl, limit);
      } catch (error) {
        console.error(error);
        answer(problem(500, "Internal Server Error"));
      }
    });
}

/** One request and its response. */
class Exchange {
  #request;
  #context;
  #answer;
  #send = () => {};
  #pieces = []; // of the response, not yet handed on; null is its end
  #wake = () => {};
  #mayGoOn = () => {};
  #onTheirWay = 0;
  #isOver = false;
  #bare = null; // a response without a body

  constructor(request, context, answer) {
    this.#request = request;
    this.#context = context;
    this.#answer = answer;
  }

  begin(name, metaUrl, limit) {
    const { method, url, headers, body } = this.#request;
    const { params, ip } = this.#context ?? {};
    const hasBody = body != null;
    this.#send = bridgeOf(metaUrl).call(
      { type: "request", function: name, method, url, headers: [...headers], params, client: ip, hasBody },
      {
        context: this.#context,
        deadline: limit,
        what: `the function ${name}`,
        advice: "let a workflow do what takes long",
        receive: (frame) => this.#receive(frame),
      },
    );
    this.#request.signal?.addEventListener("abort", () => this.#send({ type: "gone" }));
    if (hasBody) this.#upload(body.getReader());
  }

  async #upload(reader) {
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return this.#send({ type: "bodyEnd" });
        for (let at = 0; at < value.length; at += PIECE) {
          const data = Buffer.from(value.subarray(at, at + PIECE)).toString("base64");
          while (this.#onTheirWay >= WINDOW && !this.#isOver) {
            await new Promise((goOn) => (this.#mayGoOn = goOn));
          }
          if (this.#isOver) return void reader.cancel().catch(() => {});
          this.#onTheirWay += 1;
          this.#send({ type: "body", data });
        }
      }
    } catch {
      this.#send({ type: "gone" }); // the client broke off
    }
  }

  #receive(frame) {
    if (frame.type === "took") this.#onTheirWay -= 1;
    else if (frame.type === "head") this.#head(frame);
    else if (frame.type === "chunk") this.#pieces.push(Buffer.from(frame.data, "base64"));
    else this.#end(frame);
    this.#mayGoOn();
    this.#wake();
  }

  #head({ status, headers, data }) {
    this.#pieces.push(Buffer.from(data, "base64"));
    const isBare = WITHOUT_BODY.has(status) || this.#request.method === "HEAD";
    try {
      const response = new Response(isBare ? null : this.#body(), { status, headers });
      // where a body ends, the function does; without one, Python's end has to be waited for
      if (isBare) this.#bare = response;
      else this.#answer(response);
    } catch (error) {
      console.error(error); // a status or header that HTTP does not have
      this.#bare = problem(500, "Internal Server Error");
    }
    if (this.#bare) this.#send({ type: "gone" }); // nothing will be read
  }

  #end({ type, error }) {
    this.#isOver = true;
    this.#pieces.push(type === "end" ? null : new Error(error.message));
    if (type === "failed") console.error(error.message);
    // without effect where the head is out: then the body breaks off
    if (type === "end") this.#answer(this.#bare);
    else if (error.code === "FUNCTION_TIMED_OUT") this.#answer(problem(504, "Gateway Timeout"));
    else this.#answer(problem(500, "Internal Server Error"));
  }

  #body() {
    return new ReadableStream({
      pull: async (controller) => {
        const piece = await this.#next();
        if (piece === null) controller.close();
        else if (piece instanceof Error) controller.error(piece);
        else controller.enqueue(new Uint8Array(piece));
      },
      cancel: () => {
        this.#send({ type: "gone" });
        this.#pieces.push(null); // for a pull that still waits
        this.#wake();
      },
    });
  }

  /** The next piece that is not empty; null for the end. */
  async #next() {
    for (;;) {
      while (!this.#pieces.length) await new Promise((wake) => (this.#wake = wake));
      const piece = this.#pieces.shift();
      if (Buffer.isBuffer(piece)) this.#send({ type: "took" });
      if (piece?.length !== 0) return piece;
    }
  }
}

const problem = (status, text) =>
  new Response(text, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
