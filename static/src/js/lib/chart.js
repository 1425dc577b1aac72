// Draws Plotly figures made by the server in the colours of the theme: "var(--name)" stands for the value of a CSS variable.
const CONFIG = { displayModeBar: false, responsive: true, scrollZoom: false };

function resolve(value, styles) {
  if (typeof value === "string" && value.startsWith("var(--")) return styles.getPropertyValue(value.slice(4, -1)).trim();
  if (Array.isArray(value)) return value.map((item) => resolve(item, styles));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item, styles)]));
  }
  return value;
}

export function readJson(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

export function followTheme(draw) {
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
}

export function draw(target, figure, layout = {}) {
  const styles = getComputedStyle(target);
  const { data, layout: own } = resolve(figure, styles);
  const font = { ...own.font, family: getComputedStyle(document.body).fontFamily };
  return window.Plotly.react(target, data, { ...own, font, ...layout }, CONFIG);
}
