// A run with a record: Async Workloads is the alarm clock, and the record is the truth.
//
// An event only says: look at this run. Whoever can take it runs the handler, on and on, committing what
// is finished; waits for what is over in a moment; and asks to be woken for the rest.

import { take } from "./lease.mjs";
import { cancelled, completed, failed, failedOnce, isExpired, suspended, timedOut, wakes } from "./record.mjs";
import { Damaged } from "./records.mjs";

const LOOK = 3_000; // ms between looks whether the run is to be stopped
const RESERVE = 2_000; // ms that are kept back to write what has come of an invocation
const LONGEST_WAIT = 60_000; // ms in place; the scheduler would not be much later
const SHORTEST = 10_000; // ms that an invocation is to have at least, to be begun in place
const GRACE = 2_000; // ms for clocks that differ
const FAREWELL = 3_000; // ms for letting go of a run that cannot be written any more

/**
 * Do for a run what there is to be done. `item` is the event as Async Workloads delivers it, `workflow`
 * {name, maxRetries, backoff, timeout}, `limit` how long this takes at most, in ms. `invoke` calls Python:
 * it is given a frame and {deadline, receive}, and returns how to send more.
 *
 * Returns `{until}` if the run is to be looked at again then (with `isOthers` if somebody else sees to it
 * until then), `{goesOn: true}` if that is at once,
 * `{dead: error}` if it has just become a dead letter, and `{}` if nothing is left to be done.
 *
 * @throws {StoreError} if the record cannot be reached; then somebody is to come again.
 */
export async function look(records, event, workflow, { limit, code, invoke, how = {} }) {
  const began = performance.now();
  const left = () => limit - (performance.now() - began);
  const { timeout } = workflow;
  const asked = { lasts: limit + GRACE, patience: patience(limit), code, timeout };
  const { lease, until } = await take(records, event, asked);
  if (until !== undefined) return { until, isOthers: true };
  return lease ? new Turn(records, lease, workflow, { left, invoke, look: LOOK, clock: performance, ...how }).run() : {};
}

/** How long may be waited in place, if `left` ms are left: what then comes needs its time too. */
const patience = (left) => Math.max(0, Math.min(LONGEST_WAIT, left - Math.max(SHORTEST, left / 2)));

/** What one invocation does with a run that it has taken. */
class Turn {
  #records;
  #lease;
  #workflow;
  #how;
  #sendOn = null; // how to tell Python something
  #end = null; // why the run ends here: "stopped", "timed-out" or "lost"
  #broken = null; // why nothing can be written any more
  #seen = 0; // when the record was read or written last
  #watching;
  #wake = () => {};

  constructor(records, lease, workflow, how) {
    this.#records = records;
    this.#lease = lease;
    this.#workflow = workflow;
    this.#how = how;
  }

  async run() {
    this.#watch();
    const expiring = this.#whenExpired(() => this.#stop("timed-out"));
    try {
      for (;;) {
        await this.#untilDue();
        if (this.#end) return await this.#endRun({});
        const said = await this.#invoke();
        const outcome = await this.#settle(said);
        if (outcome) return outcome;
      }
    } catch (error) {
      if (error instanceof Damaged) return await this.#fail({ error: damage(error) }, null);
      await Promise.race([this.#lease.abandon(), pause(FAREWELL)]);
      throw error;
    } finally {
      clearTimeout(this.#watching);
      this.#watching = null;
      clearTimeout(expiring);
    }
  }

  /** Have something done when the run's time is over, if that is within this invocation. */
  #whenExpired(work) {
    const { expires } = this.#lease.record;
    const wait = (expires ?? Infinity) - this.#now();
    return wait < this.#how.left() ? setTimeout(work, wait) : undefined;
  }

  /** Wait for what is over in a moment; a stop ends that. */
  async #untilDue() {
    for (;;) {
      const wait = this.#lease.record.due - this.#now();
      if (this.#end || !(wait > 0)) return;
      let timer;
      await new Promise((over) => {
        this.#wake = over;
        timer = setTimeout(over, wait);
      });
      clearTimeout(timer);
    }
  }

  #now = () => this.#records.now();

  /** Look at the record whenever it has neither been read nor written for a while: a write looks as well. */
  #watch() {
    this.#seen = this.#how.clock.now();
    const due = async () => {
      const wait = this.#seen + this.#how.look - this.#how.clock.now();
      if (!(wait > 0)) await this.#look();
      if (this.#watching) this.#watching = setTimeout(due, wait > 0 ? wait : this.#how.look);
    };
    this.#watching = setTimeout(due, this.#how.look);
  }

  /** See whether anybody wants the run to end, and tell Python. */
  async #look() {
    this.#seen = this.#how.clock.now();
    try {
      if (isExpired(this.#lease.record, this.#now())) return this.#stop("timed-out");
      const said = await this.#lease.look();
      if (said !== "ack") this.#stop(said);
    } catch (error) {
      console.error(error); // the next commit finds out as well
    }
  }

  #stop(why) {
    if (this.#end) return;
    this.#end = why;
    this.#sendOn?.({ type: "stop", why });
    this.#wake();
  }

  /** Have Python go on with the run; returns the frame that it ends with. */
  async #invoke() {
    const { record } = this.#lease;
    const checkpoints = await this.#lease.entries();
    const data = await this.#records.text(record.event.data);
    const frame = {
      type: "invoke",
      workflow: record.event.name,
      event: eventOf(record, data),
      run: { now: this.#now(), attempt: record.attempt, checkpoints, asleep: record.waits },
    };
    const deadline = Math.max(1_000, this.#how.left() - RESERVE);
    return new Promise((resolve) => {
      const receive = (said) => (said.type === "commit" ? this.#commit(said) : resolve(said));
      this.#sendOn = this.#how.invoke(frame, { deadline, receive });
      if (this.#end) this.#sendOn({ type: "stop", why: this.#end });
    });
  }

  async #commit({ commit, entries, forget }) {
    let said;
    try {
      said = await this.#lease.commit({ entries, forget });
    } catch (error) {
      this.#broken = error;
      return this.#sendOn({ type: "unstored", commit });
    }
    this.#seen = this.#how.clock.now();
    if (said !== "ack") this.#end ??= said;
    else if (isExpired(this.#lease.record, this.#now())) this.#end ??= "timed-out";
    this.#sendOn({ type: this.#end ?? "ack", commit });
  }

  /** Write what has come of an invocation; returns what is to be told, or null to go on. */
  async #settle(said) {
    this.#sendOn = null;
    if (this.#broken) throw this.#broken;
    if (said.type === "completed") return this.#complete(said);
    if (this.#end) return this.#endRun(said);
    if (said.type === "failed") return this.#fail(said, this.#waitAfter(said));
    const now = this.#now();
    const due = said.goesOn || !said.sleeps.length ? now : Math.min(...said.sleeps.map((each) => each.due));
    if (said.error) return this.#fail(said, Math.max(0, due - now));
    // without any it has only run out of time: what had begun to sleep sleeps on
    const waits = said.sleeps.length ? said.sleeps : this.#lease.record.waits;
    return this.#rest((record) => suspended(record, { waits, due }), said);
  }

  /** How long to wait after a failure, by Python or, where it has died, by what the entry knows. */
  #waitAfter({ final, retryIn }) {
    if (final) return null;
    if (retryIn !== undefined) return retryIn;
    const { maxRetries, backoff } = this.#workflow;
    const { attempt } = this.#lease.record;
    return attempt < maxRetries ? (backoff[attempt] ?? backoff.at(-1) ?? 0) : null;
  }

  async #complete(said) {
    const result = await this.#lease.kept(said.result);
    return this.#ending((record) => completed(record, { result, now: this.#now() }), said);
  }

  async #endRun(said) {
    if (this.#end === "lost") return {}; // it is somebody else's
    const now = this.#now();
    if (this.#end === "stopped") return this.#ending((record) => cancelled(record, { now }), said);
    const done = await this.#ending((record) => timedOut(record, { now }), said);
    return this.#lease.record.error ? { dead: this.#lease.record.error } : done;
  }

  #fail(said, wait) {
    const { error } = said;
    const now = this.#now();
    if (wait !== null) return this.#rest((record) => failedOnce(record, { error, wait, now }), said);
    return this.#ending((record) => failed(record, { error, now }), said, { dead: error });
  }

  /** Write the run's end. */
  async #ending(decide, said, outcome = {}) {
    return (await this.#write(decide, said)) === "lost" ? {} : outcome;
  }

  /** Write what it waits for; then wait here, or let go of it. */
  async #rest(decide, said) {
    const left = this.#how.left();
    const fits = (record) => record.due - this.#now() <= patience(left);
    const next = decide(this.#lease.record);
    const letGo = !fits(next) || left < SHORTEST;
    const answered = await this.#write(decide, said, { letGo });
    if (answered === "lost") return {};
    if (!letGo) {
      if (answered === "stopped") this.#end ??= "stopped";
      return null;
    }
    const { record } = this.#lease;
    return record.due > this.#now() ? { until: wakes(record) } : { goesOn: true };
  }

  /** Write a decision, together with what was finished before it. */
  async #write(decide, { entries = [], forget = [] }, how) {
    return this.#lease.finish(decide, { entries, forget, ...how });
  }
}

const pause = (ms) => new Promise((over) => setTimeout(over, ms).unref());

/** What is kept of an error about a part of a record that is missing or damaged. */
const damage = ({ message }) => ({ type: "RecordDamaged", message, code: "RECORD_DAMAGED" });

/** The event of a run, in the form in which Async Workloads delivers events. */
function eventOf({ id, event }, data) {
  return {
    eventName: event.name,
    eventId: id,
    ...(data !== null && { data: JSON.parse(data) }),
    priority: event.priority,
    eventChain: event.chain,
  };
}
