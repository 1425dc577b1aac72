// Keys: `?` shows them, `/` goes to the search, `g` and a letter goes to a page. They can be switched off (WCAG 2.1.4).
const SETTING = "keys-off";

function isTyping(target) {
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

function goTo(letter) {
  const link = document.querySelector(`[data-go="${CSS.escape(letter)}"]`);
  if (link) link.click();
}

function listPages(list) {
  const last = list.querySelector("[data-last-key]");
  for (const link of document.querySelectorAll("[data-go]")) {
    const term = document.createElement("dt");
    const keys = ["g", link.dataset.go].map((key) => Object.assign(document.createElement("kbd"), { textContent: key }));
    term.append(keys[0], " ", keys[1]);
    const meaning = Object.assign(document.createElement("dd"), { textContent: link.dataset.goLabel || link.textContent.trim() });
    last.before(term, meaning);
  }
}

export function startKeyboard() {
  const dialog = document.getElementById("keys");
  if (!dialog) return;
  listPages(dialog.querySelector("dl"));
  const toggle = dialog.querySelector("[data-keys-toggle]");
  let waiting = 0;
  toggle.checked = localStorage.getItem(SETTING) === null;
  toggle.addEventListener("change", () => {
    if (toggle.checked) localStorage.removeItem(SETTING);
    else localStorage.setItem(SETTING, "1");
  });
  for (const button of document.querySelectorAll("[data-open-keys]")) {
    button.addEventListener("click", () => dialog.showModal());
  }
  document.addEventListener("keydown", (event) => {
    if (!toggle.checked || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || dialog.open) return;
    if (event.key === "?") {
      event.preventDefault();
      dialog.showModal();
    } else if (event.key === "/") {
      const search = document.getElementById("search");
      if (!search || search.offsetParent === null) return; // folded away on a phone
      event.preventDefault();
      search.focus();
      search.select();
    } else if (event.key === "g") {
      waiting = Date.now();
    } else if (Date.now() - waiting < 1500) {
      waiting = 0;
      goTo(event.key);
    }
  });
}
