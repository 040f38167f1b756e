// Texts in Netlify Blobs, written only where nothing else was written meanwhile.
//
// The library does the requests. Its retries (five, five seconds apart) would outlast a function, and
// it reports a conditional write that failed as done (netlify/primitives #741), so both are seen to
// here: our `fetch` has a deadline, hides what the library would retry, and keeps the real status.
//
// Nothing happens at import: other functions of the site import every entry.

const STORE = "kit-runs";
const REQUEST_LIMIT = 5_000; // ms for one request
const BUDGET = 12_000; // ms for one operation with all its tries
const [FIRST_PAUSE, LONGEST_PAUSE] = [100, 2_000];
const NOT_RETRIED = 424; // a status the library hands on at once

/** The store cannot be reached, refuses us, or does not do what is relied upon. */
export class StoreError extends Error {
  constructor(message, { status = null } = {}) {
    super(message);
    this.name = "StoreError";
    this.status = status;
  }
}

/**
 * Return how to open the store: the site's in production, the deploy's own elsewhere. `context` is the
 * function's. Opened anew for each operation, as what it needs is known within an invocation only.
 */
export function opener(context = {}) {
  const isProduction = context.deploy?.context === "production";
  return async (fetch) => {
    const { getDeployStore, getStore } = await import("@netlify/blobs"); // while Python starts
    return (isProduction ? getStore : getDeployStore)({ name: STORE, consistency: "strong", fetch });
  };
}

/** Whether the store is the one of `netlify dev`. */
export const isLocal = (context = {}) => context.deploy?.id === "0" || process.env.NETLIFY_DEV === "true";

/** Texts by key. Keys are made of `A-Z a-z 0-9 . _ -` and `/`, and none is another's folder. */
export class Blobs {
  #open;
  #how;

  /**
   * `open` takes a `fetch` and returns the library's store, or a promise of it. `isLocal` says that it is the one of
   * `netlify dev`. The rest is for tests.
   */
  constructor(open, how = {}) {
    this.#open = open;
    this.#how = { fetch, pause, now: () => performance.now(), random: Math.random, limit: REQUEST_LIMIT, budget: BUDGET, ...how };
  }

  /** Return `{text, etag}`, or null if there is nothing. `etag` is null if the store tells none. */
  async read(key) {
    const found = await this.#tried(`read ${key}`, (store) => store.getWithMetadata(key, { type: "text" }));
    if (!found) return null;
    const etag = found.etag?.replace(/^W\//, "") || null;
    return !etag && this.#how.isLocal ? this.#listed(key, found.data) : { text: found.data, etag };
  }

  /** As `read`, where only lists tell etags: under `netlify dev`. Good enough where one person works. */
  async #listed(key, text) {
    const { blobs } = await this.#tried(`list ${key}`, (store) => store.list({ prefix: key }));
    const etag = blobs.find((each) => each.key === key)?.etag || null;
    const again = await this.#tried(`read ${key}`, (store) => store.get(key));
    return { text: again ?? text, etag: again === text ? etag : null };
  }

  /**
   * Write `text` if what is there is still what `etag` says; with null, if nothing is there. No two
   * texts for one key may ever be equal, since the etag of a text is made from it.
   *
   * Returns `{etag}` if it is written, else `{found}`: what is there instead.
   *
   * @throws {StoreError} if that cannot be found out.
   */
  async swap(key, text, etag) {
    if (etag === "" || etag === undefined) throw new StoreError(`no etag was given to write ${key} with`);
    const condition = etag === null ? { onlyIfNew: true } : { onlyIfMatch: etag };
    const limit = this.#limit();
    for (let tries = 0; ; tries += 1) {
      const done = await this.#tried(`write ${key}`, (store) => store.set(key, text, condition), limit);
      if (done.modified && done.etag) return { etag: done.etag };
      // refused, or nobody knows: what is there tells
      const found = await this.read(key);
      if (found?.text === text) return { etag: tagOf(found, key) };
      if ((found && tagOf(found, key)) !== etag) return { found };
      await this.#rest(tries, limit, () => new StoreError(`${key} could not be written, and nothing else was`));
    }
  }

  async remove(key) {
    await this.#tried(`delete ${key}`, (store) => store.delete(key));
  }

  /** Return the keys that begin with `prefix`, sorted; at most about `most`. */
  async keys(prefix, most = Infinity) {
    return this.#tried(`list ${prefix}`, async (store) => {
      const found = [];
      for await (const { blobs } of store.list({ prefix, paginate: true })) {
        found.push(...blobs.map(({ key }) => key));
        if (found.length >= most) break;
      }
      return found.sort();
    });
  }

  /** Return the names of the folders directly below `prefix`, which ends with a slash; sorted. */
  async folders(prefix) {
    const { directories } = await this.#tried(`list ${prefix}`, (store) => store.list({ prefix, directories: true }));
    return directories.map((each) => each.slice(prefix.length).replace(/\/$/, "")).sort();
  }

  /** Do `work` with the store until it is done, or it is of no use to try again. */
  async #tried(what, work, limit = this.#limit()) {
    for (let tries = 0; ; tries += 1) {
      const seen = {};
      let result;
      try {
        result = await work(await this.#open(bounded(this.#how, seen)));
      } catch (error) {
        // an answer that broke off while it was read, or a request that could not even be made
        if (!seen.error) Object.assign(seen, { error, isWorthAnotherTry: seen.status === 200 });
      }
      if (!seen.error) return result;
      if (!seen.isWorthAnotherTry) throw refused(what, seen);
      await this.#rest(tries, limit, () => refused(what, seen));
    }
  }

  #limit = () => this.#how.now() + this.#how.budget;

  async #rest(tries, limit, failure) {
    const whole = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** tries);
    const wait = whole / 2 + (whole / 2) * this.#how.random();
    if (this.#how.now() + wait > limit) throw failure();
    await this.#how.pause(wait);
  }
}

const pause = (ms) => new Promise((over) => setTimeout(over, ms));

function tagOf({ etag }, key) {
  if (etag) return etag;
  // to write without one would be to overwrite whatever is there
  throw new StoreError(`Netlify Blobs did not tell the etag of ${key}, without which it cannot be changed safely`);
}

/** A fetch for the library: with a deadline, never retried, and telling `seen` what has happened. */
function bounded({ fetch, limit }, seen) {
  return async (url, options) => {
    try {
      const response = await fetch(url, { ...options, signal: AbortSignal.timeout(limit) });
      const { status } = response;
      // of a list that goes on over pages, or of a signed URL and its use, the last answer counts
      Object.assign(seen, { status, error: null, isWorthAnotherTry: false });
      if (response.ok || [304, 404, 412].includes(status)) return response;
      await response.body?.cancel();
      seen.error = new Error(`it answered ${status}`);
      seen.isWorthAnotherTry = status === 429 || status >= 500;
    } catch (error) {
      Object.assign(seen, { status: null, error, isWorthAnotherTry: true });
    }
    return new Response(null, { status: NOT_RETRIED });
  };
}

function refused(what, { status, error }) {
  const denied = status === 401 || status === 403;
  const why = denied ? `the access given to this invocation was refused (${status})` : (error.cause?.message ?? error.message);
  return new StoreError(`Netlify Blobs: could not ${what}: ${why}`, { status });
}
