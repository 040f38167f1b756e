// Moments as people say them: "12 s ago", "in 20 s", "any moment", "5 s". Exact ones are in their titles.
const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

export function inWords(milliseconds) {
  let left = Math.max(0, Math.round(milliseconds / 1000));
  const parts = [];
  let units = 0;
  for (const [unit, seconds] of UNITS) {
    const count = Math.floor(left / seconds);
    left -= count * seconds;
    if (units || count) {
      units += 1;
      if (count) parts.push(`${count} ${unit}`);
    }
    if (units === 2) break;
  }
  return parts.join(" ") || "0 s";
}

const SAID = {
  ago: (at, now) => (now - at < 1000 ? "just now" : `${oneUnit(now - at)} ago`),
  left: (at, now) => (at > now ? `in ${inWords(Math.ceil((at - now) / 1000) * 1000)}` : "any moment"),
  since: (at, now) => inWords(now - at),
};

function oneUnit(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  const [unit, size] = UNITS.find(([, length]) => seconds >= length) ?? ["s", 1];
  return `${Math.floor(seconds / size)} ${unit}`;
}

export function keepTime() {
  let timer = 0;
  const tell = () => {
    const now = Date.now();
    for (const [key, say] of Object.entries(SAID)) {
      for (const element of document.querySelectorAll(`time[data-${key}]`)) {
        const text = say(Number(element.dataset[key]), now);
        if (element.textContent !== text) element.textContent = text;
      }
    }
  };
  const begin = () => {
    clearInterval(timer);
    if (document.hidden) return;
    tell();
    timer = setInterval(tell, 1000);
  };
  document.addEventListener("visibilitychange", begin);
  begin();
  return { tell };
}
