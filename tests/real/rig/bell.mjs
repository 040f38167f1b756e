// Wakes whoever waits for something to happen, so that nobody looks again and again.

import { setTimeout as pause } from "node:timers/promises";

export class Bell {
  #waiting = new Set();

  ring() {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** Wait until it rings, but no longer than so many ms. */
  async heard(limit) {
    const over = new AbortController();
    const rung = new Promise((wake) => this.#waiting.add(wake));
    await Promise.race([rung, pause(limit, null, { signal: over.signal }).catch(() => {})]);
    over.abort();
  }
}
