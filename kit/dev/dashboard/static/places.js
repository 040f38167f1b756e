// A browser has six connections for one server, and a page that listens keeps one of them. So only a
// few pages listen at a time, whatever is open; the others look now and then.
const PLACES = 4;

/** Take a place among those who listen: resolves to what gives it back, or to null if there is none. */
export function takePlace() {
  if (!navigator.locks) return Promise.resolve(() => {});
  return new Promise((resolve) => {
    const ask = (number) => {
      if (number === PLACES) return resolve(null);
      navigator.locks.request(`kit-feed-${number}`, { ifAvailable: true }, (lock) => {
        if (!lock) return void ask(number + 1);
        return new Promise((giveBack) => resolve(giveBack)); // or until the page goes
      });
    };
    ask(0);
  });
}
