// A table row that leads somewhere is clickable as a whole; its link stays the real thing for keyboard and screen readers.
export function startRows() {
  document.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-row-link]");
    if (!row || event.target.closest("a, button, input, select, label")) return;
    if (window.getSelection().toString()) return;
    const link = row.querySelector("a[href]");
    if (event.ctrlKey || event.metaKey) window.open(link.href, "_blank", "noopener");
    else link.click();
  });
}
