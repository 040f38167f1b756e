// Values that are too long for the page are fetched when they are asked for; ids can be copied.

export function improveValues() {
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-whole]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      await showAll(link);
    }
    const button = event.target.closest("button[data-copy]");
    if (button) await copy(button);
  });
  const offer = () => {
    for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = !navigator.clipboard;
  };
  document.addEventListener("kit:drawn", offer);
  offer();
}

async function showAll(link) {
  const value = link.closest(".value");
  const response = await fetch(link.href);
  if (!response.ok) return void location.assign(link.href);
  const code = value.querySelector("pre");
  code.textContent = await response.text();
  value.setAttribute("data-kept", ""); // the next drawing has only its beginning
  link.remove();
  code.focus();
}

async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.copy);
  document.getElementById("announce").textContent = "Copied.";
  button.dataset.ownDone = "yes";
  setTimeout(() => delete button.dataset.ownDone, 1500);
}
