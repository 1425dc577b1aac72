// Uploading: files, folders or archives are gathered, sent with a bar, and can be cancelled or resumed after an error.
import { filesOf } from "./lib/dropped-files.js";
import { Sending } from "./lib/resumable.js";

const form = document.getElementById("upload");
const part = (id) => document.getElementById(id);
let chosen = [];
let run = null;

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

function sum(files) {
  return files.reduce((total, one) => total + one.file.size, 0);
}

function add(found) {
  const known = new Set(chosen.map((one) => `${one.path}/${one.file.size}`));
  chosen = chosen.concat(found.filter((one) => !known.has(`${one.path}/${one.file.size}`)));
  part("chosen-files").textContent = chosen.length ? `${chosen.length} file${chosen.length === 1 ? "" : "s"}, ${megabytes(sum(chosen))}` : "No files chosen yet.";
  part("send").disabled = !chosen.length;
}

function startDrop() {
  const drop = part("drop");
  let depth = 0;
  const over = (change) => {
    depth = Math.max(0, depth + change);
    drop.classList.toggle("is-over", depth > 0);
  };
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => event.preventDefault());
  drop.addEventListener("dragenter", () => over(1));
  drop.addEventListener("dragleave", () => over(-1));
  drop.addEventListener("drop", async (event) => {
    over(-depth);
    if (run) return;
    try {
      add(await filesOf(event.dataTransfer));
    } catch (error) {
      complain(`Some of the dropped files can't be read (${error.message}). Choose them with the buttons instead.`, false);
    }
  });
  for (const id of ["pick-files", "pick-folder"]) {
    part(id).addEventListener("change", (event) => {
      add([...event.target.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
      event.target.value = "";
    });
  }
}

function complain(text, canResume) {
  const box = part("upload-error");
  box.querySelector("span").textContent = text;
  part("resume").hidden = !canResume;
  box.hidden = false;
}

async function post(address, body) {
  const answer = await fetch(address, {
    method: "POST",
    body,
    headers: { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value, Accept: "application/json" },
  });
  const isJson = (answer.headers.get("content-type") || "").startsWith("application/json");
  const said = isJson ? await answer.json() : {};
  if (!answer.ok) throw new Error(said.error?.message || `the server answered ${answer.status}`);
  return said;
}

async function start() {
  const target = form.querySelector("input[name=target]:checked");
  const body = new FormData();
  body.set("target", target ? target.value : "");
  if (form.elements.centre) body.set("centre", form.elements.centre.value);
  const upload = await post(form.dataset.startUrl, body);
  sessionStorage.setItem(`upload:${upload.upload}`, JSON.stringify(chosen.map((one) => one.path)));
  const headers = { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value };
  const sending = new Sending(chosen.map((one) => one.file), upload.files_url, headers, show);
  return { ...upload, sending, total: sum(chosen), isCancelled: false };
}

function show(sent) {
  if (!run) return;
  part("bar").value = run.total ? (100 * sent) / run.total : 0;
  part("sent").textContent = sent < run.total ? `${megabytes(sent)} of ${megabytes(run.total)}` : "All files are here; the server takes over.";
}

async function proceed() {
  await run.sending.all();
  const { page_url: page } = await post(run.finish_url, new FormData());
  window.removeEventListener("beforeunload", warn);
  location.assign(page);
}

function warn(event) {
  event.preventDefault();
}

async function go() {
  part("upload-error").hidden = true;
  part("send").disabled = true;
  part("cancel").hidden = false;
  document.querySelector(".upload-progress").hidden = false;
  window.addEventListener("beforeunload", warn);
  try {
    run ??= await start();
    show(0);
    await proceed();
  } catch (error) {
    if (run?.isCancelled) return;
    window.removeEventListener("beforeunload", warn);
    complain(`The upload stopped: ${error.message}. Files that were sent are kept; resume when the connection is back.`, true);
  }
}

async function cancel() {
  if (!run) return location.reload();
  run.isCancelled = true;
  await run.sending.stop();
  window.removeEventListener("beforeunload", warn);
  await post(run.cancel_url, new FormData());
  location.reload();
}

startDrop();
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!run && chosen.length) go();
});
part("resume").addEventListener("click", go);
part("cancel").addEventListener("click", () => cancel().catch((error) => complain(`Cancelling failed: ${error.message}.`, false)));
