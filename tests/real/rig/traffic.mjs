// What is under way. The engine tells nobody when it is done, but all it does goes over HTTP.

import { setTimeout as pause } from "node:timers/promises";

import { Bell } from "./bell.mjs";

export class Traffic {
  #underWay = 0;
  #changes = 0;
  #quiet = new Bell();

  /** @param calm how many looks in a row must find nothing; a span of time would say little */
  constructor(calm) {
    this.calm = calm;
  }

  begin() {
    this.#change(1);
    let over = false;
    return () => {
      if (!over) this.#change(-1);
      over = true;
    };
  }

  /** Count a response as under way until it is written, or its caller has gone. */
  follow(outgoing) {
    const end = this.begin();
    outgoing.on("finish", end).on("close", end);
  }

  /** Wait until nothing has been under way for a moment; false if that takes too long. */
  async idle(limit = 150_000) {
    const began = performance.now();
    let [looks, changes] = [0, this.#changes];
    while (looks < this.calm && performance.now() - began < limit) {
      if (this.#underWay) await this.#quiet.heard(began + limit - performance.now());
      await pause(2);
      looks = this.#underWay || changes !== this.#changes ? 0 : looks + 1;
      changes = this.#changes;
    }
    return looks >= this.calm;
  }

  #change(by) {
    this.#underWay += by;
    this.#changes += 1;
    if (!this.#underWay) this.#quiet.ring();
  }
}
