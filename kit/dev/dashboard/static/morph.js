// Makes an element look like new markup by changing as little as possible, so that focus, selection,
// scrolling, what is open and what is being typed stay as they are.

const parser = document.createElement("template");

/** Give `element` the children that `html` describes. The markup comes from this page's own server. */
export function morph(element, html) {
  parser.innerHTML = html;
  children(element, parser.content);
  parser.innerHTML = "";
}

function children(old, fresh) {
  const known = new Map();
  for (const child of old.children) if (child.id) known.set(child.id, child);
  let at = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const same = (wanted.id && known.get(wanted.id)) || (at && isLike(at, wanted) ? at : null);
    if (!same) {
      old.insertBefore(wanted, at);
      continue;
    }
    if (same === at) at = at.nextSibling;
    else old.insertBefore(same, at);
    node(same, wanted);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function isLike(old, fresh) {
  return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && (old.id ?? "") === (fresh.id ?? "");
}

function node(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.hasAttribute("data-kept")) return;
  const isTold = old.localName === "time" && old.getAttribute("datetime") === fresh.getAttribute("datetime");
  attributes(old, fresh);
  if (!isTold) children(old, fresh);
}

function attributes(old, fresh) {
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !isOwn(old, name)) old.removeAttribute(name);
  }
}

// what the reader has opened or the scripts have shown is not the server's to close
function isOwn(element, name) {
  return (name === "open" && element.localName === "details") || name === "hidden" || name.startsWith("data-own");
}
