// The switch light / dark / system in the user menu.
export function startThemeMenu() {
  const buttons = document.querySelectorAll("[data-theme-value]");
  const show = () => {
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.themeValue === document.documentElement.dataset.themeChoice));
    }
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      document.dispatchEvent(new CustomEvent("theme:choose", { detail: button.dataset.themeValue }));
      show();
    });
  }
  show();
}
