// A sign-in in another tab changes the CSRF token; forms that were open keep working with the one in the cookie.
function present() {
  return document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1];
}

export function startCsrf() {
  document.addEventListener("htmx:configRequest", (event) => {
    const token = present();
    if (!token) return;
    event.detail.headers["X-CSRFToken"] = token;
    const data = event.detail.formData;
    if (data.has("csrfmiddlewaretoken")) data.set("csrfmiddlewaretoken", token); // Django looks here before the header
  });
  document.addEventListener(
    "submit",
    (event) => {
      const field = event.target.querySelector("input[name=csrfmiddlewaretoken]");
      const token = present();
      if (field && token) field.value = token;
    },
    true,
  );
}
