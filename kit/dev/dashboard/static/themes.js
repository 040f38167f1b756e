// The switch between the system's theme, light and dark; the choice is kept in this browser.
const THEMES = ["auto", "light", "dark"];

export function offerThemes(button, name) {
  const show = () => {
    const theme = document.documentElement.dataset.theme ?? "auto";
    name.textContent = theme;
    button.setAttribute("aria-label", `Theme: ${theme}`);
  };
  button.addEventListener("click", () => {
    const now = document.documentElement.dataset.theme ?? "auto";
    choose(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
    show();
  });
  button.hidden = false;
  show();
}

function choose(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("kit-theme", theme);
  } catch {
    // it holds for this page, then
  }
}
