// Says in words when a partial update failed; announces it to screen readers too.
const NO_ANSWER = "The server didn't answer. What you typed is still here: check the connection and try again.";
const FAILED = "That didn't work and nothing was changed. Try again, or tell the administrator when it happened.";

export function say(text, kind = "danger") {
  const place = document.getElementById("live-messages");
  const box = document.createElement("div");
  box.className = `alert alert-${kind} alert-dismissible`;
  box.setAttribute("role", kind === "danger" ? "alert" : "status");
  box.append(text);
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn-close";
  close.setAttribute("aria-label", "Dismiss");
  close.addEventListener("click", () => box.remove());
  box.append(close);
  place.replaceChildren(box);
}

function reason(request) {
  if (!(request.getResponseHeader("content-type") || "").startsWith("application/json")) return FAILED;
  return JSON.parse(request.responseText).error?.message || FAILED;
}

export function startMessages() {
  document.addEventListener("htmx:sendError", () => say(NO_ANSWER));
  document.addEventListener("htmx:timeout", () => say(NO_ANSWER));
  document.addEventListener("htmx:responseError", (event) => say(reason(event.detail.xhr)));
}
