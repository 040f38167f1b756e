// A clock that can be put forward, so that backoffs and sleeps of hours take no real time.
//
// Only the wall clock moves (`Date.now()`, `new Date()`); timers run as ever. What the rig itself
// measures, it measures with `performance.now()`.

const realNow = Date.now.bind(Date);
let offset = 0;

/** Make this process's wall clock go by the rig's; once per process. */
export function installClock(start = 0) {
  offset = start;
  const RealDate = Date;
  const now = () => realNow() + offset;
  RealDate.now = now;
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, self) =>
      Reflect.construct(target, args.length ? args : [now()], self),
  });
}

/** The milliseconds this clock is ahead of the real one. */
export const clockOffset = () => offset;

export function setClock(milliseconds) {
  offset = milliseconds;
}
