// The Bland–Altman plot of two models: drawn in the theme's colours; a point leads to its study where the person may see it.
import { draw, followTheme, readJson } from "./lib/chart.js";

const target = document.getElementById("agreement-plot");
const figure = readJson("agreement-figure");
const addressOf = (event) => event.points[0].customdata || "";

function show() {
  return draw(target, figure, { dragmode: false });
}

await show();
followTheme(show);
target.on("plotly_click", (event) => {
  const address = addressOf(event);
  if (address) window.location.assign(address);
});
target.on("plotly_hover", (event) => target.classList.toggle("is-link", addressOf(event) !== ""));
target.on("plotly_unhover", () => target.classList.remove("is-link"));
