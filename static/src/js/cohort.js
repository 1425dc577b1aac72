// The scatter of the cohort page: drawn when it comes with the page or after a cell was chosen; a point leads to its patient.
import { draw, followTheme, readJson } from "./lib/chart.js";

function show() {
  const target = document.getElementById("scatter-plot");
  if (!target) return;
  const isNew = !target.classList.contains("js-plotly-plot");
  draw(target, readJson("scatter-figure"), { dragmode: false });
  if (isNew) target.on("plotly_click", (event) => window.location.assign(event.points[0].customdata));
}

show();
followTheme(show);
document.body.addEventListener("htmx:afterSettle", show);
