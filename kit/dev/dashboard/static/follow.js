// Keeps a page up to date by server-sent events. A hidden page listens to nothing: when it is seen
// again, it is brought up to date at once. A lost connection is taken up again by itself.
import { morph } from "./morph.js";
import { takePlace } from "./places.js";

const AGAIN = 1500; // ms until the next try, where the browser has given up
const LOOK = 2500; // ms until the next look of a page that has no place among those who listen

export function follow(address, { changed }) {
  const mark = document.getElementById("live");
  const announce = document.getElementById("announce");
  const isAwaited = document.body.hasAttribute("data-awaited"); // this page only says what is wrong
  let source = null;
  let place = null;
  let retry = 0;
  let turn = 0;
  let said = document.querySelector("[data-announce]")?.textContent ?? "";

  const show = (state, text) => {
    mark.hidden = false;
    if (mark.dataset.state === state) return;
    mark.dataset.state = state;
    mark.querySelector(".live-text").textContent = text;
  };

  const close = () => {
    turn += 1;
    clearTimeout(retry);
    source?.close();
    place?.();
    source = place = null;
  };

  const open = async () => {
    close();
    if (document.hidden) return;
    const mine = turn;
    const found = await takePlace();
    if (mine !== turn) return found?.();
    place = found;
    source = new EventSource(place ? address : `${address}&look=1`);
    let isHeard = false;
    source.addEventListener("hello", ({ data }) => {
      isHeard = true;
      show("on", "live");
      const served = document.querySelector("meta[name=kit-instance]");
      // another server, another token: forms of this page would be refused
      if (JSON.parse(data).instance !== served.content) renewToken(served);
    });
    source.addEventListener("regions", ({ data }) => {
      // all in one go: nobody is to see one of a moment beside another of the next
      for (const { id, html } of JSON.parse(data)) draw(id, html);
      changed();
      tell();
    });
    source.addEventListener("trouble", ({ data }) => {
      const { message, isOver } = JSON.parse(data);
      if (isOver) close();
      if (isAwaited) return; // the page itself says so
      show("off", isOver ? "gone" : "in trouble");
      announce.textContent = message;
    });
    source.addEventListener("well", () => {
      if (!isAwaited) return show("on", "live");
      close();
      location.reload();
    });
    source.addEventListener("error", () => {
      if (isHeard && !place) {
        source.close(); // that was all there is at present
        retry = setTimeout(open, LOOK);
        return;
      }
      show("off", "not connected");
      if (source?.readyState === EventSource.CLOSED) retry = setTimeout(open, AGAIN);
    });
  };

  // only what has become of the run is said aloud: a list that changes would never be silent
  const tell = () => {
    const told = document.querySelector("[data-announce]");
    if (!told || told.textContent === said) return;
    announce.textContent = said = told.textContent;
    document.title = document.title.replace(/^.*? · /, () => `${told.dataset.title} · `);
  };

  for (const told of document.querySelectorAll("[data-live]")) told.hidden = false;
  document.addEventListener("visibilitychange", open);
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", (event) => event.persisted && open());
  open();
  return {
    /** Show and follow another page of the same kind. */
    moveTo(next) {
      address = next;
      open();
    },
  };
}

function draw(id, html) {
  const region = document.querySelector(`[data-region="${CSS.escape(id)}"]`);
  if (!region) return;
  morph(region, html);
  region.dispatchEvent(new CustomEvent("kit:drawn", { bubbles: true }));
}

// not by loading the page anew: something may have been typed into it
async function renewToken(served) {
  const answer = await fetch(location.href);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const named = (name) => page.querySelector(`meta[name=${name}]`)?.content;
  if (!named("kit-token")) return;
  served.content = named("kit-instance");
  document.querySelector("meta[name=kit-token]").content = named("kit-token");
  for (const field of document.querySelectorAll("input[name=token]")) field.value = named("kit-token");
}
