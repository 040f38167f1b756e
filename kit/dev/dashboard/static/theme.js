// Before anything is drawn: the theme chosen here, if one was. Not a module, so that it is not late.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("kit-theme");
  } catch {
    // storage may be refused; then the system's own theme holds
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
