// Forms: warn before typed values are lost, go to the first error, send once, delete only after the name was typed.
export function startForms() {
  for (const form of document.querySelectorAll("form[data-guard]")) guard(form);
  document.addEventListener("submit", sendOnce);
  for (const input of document.querySelectorAll("[data-confirm-name]")) askByName(input);
  for (const select of document.querySelectorAll("select[data-submit-on-change]")) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }
  const summary = document.querySelector(".error-summary");
  if (summary) summary.focus();
}

function guard(form) {
  let isChanged = form.hasAttribute("data-guard-changed");
  form.addEventListener("input", () => (isChanged = true));
  form.addEventListener("submit", () => (isChanged = false));
  window.addEventListener("beforeunload", (event) => {
    if (isChanged) event.preventDefault();
  });
}

function sendOnce(event) {
  const form = event.target;
  if (event.defaultPrevented || form.getAttribute("method") !== "post") return; // htmx or a script sends it
  if (form.dataset.isSent) {
    event.preventDefault();
    return;
  }
  form.dataset.isSent = "1";
  setTimeout(() => delete form.dataset.isSent, 4000); // the answer may be a file, or the person may come back
}

function askByName(input) {
  const button = input.form.querySelector("button:not([type]), [type=submit]");
  const check = () => (button.disabled = input.value.trim() !== input.dataset.confirmName);
  input.addEventListener("input", check);
  check();
}
