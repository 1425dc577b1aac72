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

const SIGNED_OUT = "You have been signed out. Sign in again in another tab, then go on here: what you typed is still on this page.";

function reason(request) {
  const type = request.getResponseHeader("content-type") || "";
  if (type.startsWith("application/json")) return JSON.parse(request.responseText).error?.message || FAILED;
  const page = new DOMParser().parseFromString(request.responseText, "text/html");
  return page.querySelector("main p")?.textContent || FAILED;
}

function isSignIn(request) {
  return new URL(request.responseURL || location.href).pathname.endsWith("/sign-in/");
}

export function startMessages() {
  document.addEventListener("htmx:sendError", () => say(NO_ANSWER));
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!isSignIn(event.detail.xhr) || isSignIn({ responseURL: location.href })) return;
    event.detail.shouldSwap = false;
    say(SIGNED_OUT, "warning");
  });
  document.addEventListener("htmx:timeout", () => say(NO_ANSWER));
  document.addEventListener("htmx:responseError", (event) => say(reason(event.detail.xhr)));
}
