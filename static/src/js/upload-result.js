// File names never leave the browser: it puts its own names beside the numbers of the report, also after each poll.
function nameFiles() {
  const state = document.getElementById("upload-state");
  const kept = state && sessionStorage.getItem(`upload:${state.dataset.upload}`);
  if (!kept) return;
  const names = JSON.parse(kept);
  for (const cell of document.querySelectorAll("[data-file-number]")) {
    const name = names[Number(cell.dataset.fileNumber) - 1];
    if (name) cell.textContent = name;
  }
}

document.addEventListener("htmx:afterSettle", nameFiles);
nameFiles();
