// Filters that follow what is typed, and forms that are filled without reloading the page.
import { morph } from "./morph.js";

const PAUSE = 250; // ms after the last key

export function improveForms(feed) {
  for (const form of document.querySelectorAll("form[data-filter]")) if (feed) filterAtOnce(form, feed);
  document.addEventListener("submit", (event) => {
    if (event.target.matches("form[data-morph]")) sendInPlace(event);
    else sendOnce(event);
  });
  for (const note of document.querySelectorAll("[data-once]")) forget(note);
}

function filterAtOnce(form, feed) {
  let timer = 0;
  const apply = () => {
    clearTimeout(timer);
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) query.set(name, value);
    const url = new URL(location.href);
    url.search = query;
    if (url.href === location.href) return;
    history.replaceState(null, "", url);
    const prefix = document.body.dataset.feed.split("/feed")[0];
    const at = url.pathname.slice(prefix.length) + url.search;
    feed.moveTo(`${prefix}/feed?${new URLSearchParams({ at })}`);
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(apply, PAUSE);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
}

async function sendInPlace(event) {
  event.preventDefault();
  const form = event.target;
  if (form.dataset.ownBusy) return;
  form.dataset.ownBusy = "yes";
  try {
    const body = new URLSearchParams(new FormData(form, event.submitter));
    const headers = { "x-kit-token": document.querySelector("meta[name=kit-token]").content };
    const response = await fetch(form.action, { method: "POST", body, headers });
    if (response.redirected) return void location.assign(response.url);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.querySelector("form[data-morph]");
    if (!fresh) return void form.submit(); // an answer of another kind: show it as a page
    refill(form, fresh);
  } catch {
    document.getElementById("announce").textContent = "The server did not answer. Is kit dev running?";
  } finally {
    delete form.dataset.ownBusy;
  }
}

function refill(form, fresh) {
  const before = new Set([...form.querySelectorAll("input,select,textarea")].map((field) => field.name));
  morph(form, fresh.innerHTML);
  // what was typed is a property, what the server says is an attribute
  for (const field of form.querySelectorAll("input,textarea")) {
    if (field.type === "checkbox") field.checked = field.defaultChecked;
    else field.value = field.defaultValue;
  }
  for (const option of form.querySelectorAll("option")) option.selected = option.defaultSelected;
  const added = [...form.querySelectorAll("input:not([type=hidden]),select,textarea")].find((field) => !before.has(field.name));
  (form.querySelector("[aria-invalid]") ?? form.querySelector("[data-focus]") ?? added)?.focus();
}

// a second press while the first is on its way would do it twice
function sendOnce(event) {
  if (event.target.method !== "post" || event.defaultPrevented) return;
  if (event.target.dataset.ownBusy) event.preventDefault();
  event.target.dataset.ownBusy = "yes";
}

function forget(note) {
  const url = new URL(location.href);
  url.searchParams.delete("note");
  history.replaceState(null, "", url);
  setTimeout(() => note.remove(), 8000);
}
