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

const picture = document.getElementById("timeline-picture");

// The first address of that kind (0: where a click leads, 1: the picture) among the points under the pointer.
function addressOf(event, kind = 0) {
  const found = event.points.map((point) => point.customdata?.[kind]).find((item) => typeof item === "string" && item.startsWith("/"));
  return found || "";
}

function showPicture(event) {
  const address = addressOf(event, 1);
  if (!address) return hidePicture();
  const image = picture.querySelector("img");
  if (image.getAttribute("src") !== address) image.src = address;
  const frame = picture.parentElement.getBoundingClientRect();
  const x = event.event.clientX - frame.left;
  const isRight = x > frame.width / 2;
  picture.style.left = isRight ? "auto" : `${x + 24}px`;
  picture.style.right = isRight ? `${frame.width - x + 24}px` : "auto";
  picture.hidden = false;
  const isLow = event.event.clientY + 56 + picture.offsetHeight > window.innerHeight;
  const y = event.event.clientY - frame.top;
  picture.style.top = `${isLow ? y - picture.offsetHeight - 56 : y + 56}px`;
}

function hidePicture() {
  picture.hidden = true;
}

await show();
followTheme(() => show());
target.on("plotly_click", (event) => {
  const address = addressOf(event);
  if (address) window.location.assign(address);
});
target.on("plotly_hover", (event) => {
  target.classList.toggle("is-link", addressOf(event) !== "");
  showPicture(event);
});
target.on("plotly_unhover", () => {
  target.classList.remove("is-link");
  hidePicture();
});
picture.querySelector("img").addEventListener("error", hidePicture);
window.addEventListener("scroll", hidePicture, { passive: true });
window.matchMedia("print").addEventListener("change", (event) => {
  if (event.matches) show(Math.min(PRINT_HEIGHT_PX, figure.layout.height), PRINT_WIDTH_PX);
  else show();
});
