// The timeline of the patient page: drawn in the theme's colours; a click on an MRI point opens its slices; fits a printed page.
import { draw, followTheme, readJson } from "./lib/chart.js";

const PRINT_WIDTH_PX = 700;
const PRINT_HEIGHT_PX = 520;
const target = document.getElementById("timeline");
const figure = readJson("timeline-figure");
const isTouch = window.matchMedia("(pointer: coarse)").matches;

function show(height = figure.layout.height, width = undefined) {
  target.style.height = `${height}px`;
  return draw(target, figure, { dragmode: isTouch ? false : "zoom", height, width, autosize: width === undefined });
}

function addressOf(event) {
  const address = event.points.map((point) => point.customdata).find((item) => typeof item === "string" && item.startsWith("/"));
  return address || "";
}

await show();
followTheme(() => show());
target.on("plotly_click", (event) => {
  const address = addressOf(event);
  if (address) window.location.assign(address);
});
target.on("plotly_hover", (event) => target.classList.toggle("is-link", addressOf(event) !== ""));
target.on("plotly_unhover", () => target.classList.remove("is-link"));
window.matchMedia("print").addEventListener("change", (event) => {
  if (event.matches) show(Math.min(PRINT_HEIGHT_PX, figure.layout.height), PRINT_WIDTH_PX);
  else show();
});
