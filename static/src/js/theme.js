// Sets the colours before the first paint: the page's own theme, else the person's choice, else the system's.
const root = document.documentElement;
const system = window.matchMedia("(prefers-color-scheme: dark)");

function chosen() {
  try {
    return localStorage.getItem("theme") || "auto";
  } catch (error) {
    if (error.name !== "SecurityError") throw error;
    return "auto"; // storage is switched off in this browser
  }
}

function apply() {
  const choice = chosen();
  root.dataset.themeChoice = choice;
  if (root.dataset.themeFixed) root.dataset.bsTheme = root.dataset.themeFixed;
  else if (choice === "auto") root.dataset.bsTheme = system.matches ? "dark" : "light";
  else root.dataset.bsTheme = choice;
}

system.addEventListener("change", apply);
document.addEventListener("theme:choose", (event) => {
  localStorage.setItem("theme", event.detail);
  apply();
  document.dispatchEvent(new CustomEvent("theme:changed", { detail: root.dataset.bsTheme }));
});
apply();
