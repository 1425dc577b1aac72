// The slices of a study: scrolled by wheel, keys, slider or touch; outlines over them; the score per slice as bars.
import { drawBars } from "./lib/slice-bars.js";

const element = (id) => document.getElementById(id);
const source = element("viewer-data");
if (source) startViewer(JSON.parse(source.textContent));
startKeys();

function startViewer(data) {
  const viewport = element("viewport");
  const slider = element("slider");
  const images = { slice: element("slice"), lines: element("lines"), fill: element("fill") };
  const beside = element("beside") && startBeside(data);
  const kept = new Map();
  let index = data.first;

  const load = (address) => {
    if (!kept.has(address)) {
      const image = new Image();
      image.src = address;
      kept.set(address, image);
    }
    return kept.get(address);
  };
  const show = (wanted) => {
    index = Math.max(0, Math.min(data.n_slices - 1, wanted));
    slider.value = index;
    element("slice-number").textContent = `${index + 1} / ${data.n_slices}`;
    images.slice.src = data.slices[index];
    images.slice.alt = `Slice ${index + 1} of ${data.n_slices}, counted from the front`;
    showOutlines();
    beside?.show(index);
    bars.mark(index);
    for (const near of [index + 1, index - 1, index + 2, index - 2]) {
      if (data.slices[near]) load(data.slices[near]);
      if (data.outlines[near]) load(data.outlines[near]);
    }
  };

  const showOutlines = () => {
    drawOutlines(images, data.outlines[index]);
    beside?.outlines(index);
  };

  const bars = drawBars(element("bars"), data, show);
  images.slice.addEventListener("load", () => {
    element("slice-error").hidden = true;
    const [, row, column] = data.spacing_mm.length ? data.spacing_mm : [1, 1, 1];
    const ratio = (images.slice.naturalWidth * column) / (images.slice.naturalHeight * row);
    for (const one of document.querySelectorAll(".viewport")) {
      one.style.aspectRatio = String(ratio);
      one.style.maxWidth = `calc(62vh * ${ratio})`;
    }
  });
  images.slice.addEventListener("error", () => (element("slice-error").hidden = false));
  slider.addEventListener("input", () => show(Number(slider.value)));
  startScrolling(viewport, (step) => show(index + step), (to) => show(to < 0 ? data.n_slices - 1 : to));
  beside?.start(() => index, (step) => show(index + step));
  if (element("show-lines")) {
    element("show-lines").addEventListener("change", showOutlines);
    element("opacity").addEventListener("input", showOutlines);
    startHiding(element("viewports"));
  }
  show(index);
}

// The outlines of one slice, and their fill, as the switch and the slider say.
function drawOutlines(images, address) {
  if (!address) return;
  const opacity = Number(element("opacity").value);
  images.lines.hidden = !element("show-lines").checked;
  images.fill.hidden = images.lines.hidden || opacity === 0;
  if (!images.lines.hidden) images.lines.src = address;
  if (!images.fill.hidden) images.fill.src = `${address}&fill=1`;
  images.fill.style.opacity = String(opacity / 100);
  element("opacity-value").textContent = `${opacity} %`;
}

// A second picture of the same slice, with the outlines that another model or person drew.
function startBeside(data) {
  const choice = element("beside");
  const viewport = element("viewport-beside");
  const images = { slice: element("slice-beside"), lines: element("lines-beside"), fill: element("fill-beside") };
  const chosen = () => (choice.value === "" ? null : data.others[Number(choice.value)]);

  const outlines = (index) => chosen() && drawOutlines(images, chosen().outlines[index]);
  const show = (index) => {
    viewport.hidden = !chosen();
    element("viewports").classList.toggle("is-double", !viewport.hidden);
    if (viewport.hidden) return;
    images.slice.src = data.slices[index];
    images.slice.alt = `Slice ${index + 1} with the outlines ${chosen().label}`;
    element("drawn-beside").textContent = chosen().label;
    outlines(index);
  };
  const start = (current, move) => {
    choice.addEventListener("change", () => show(current()));
    startWheel(viewport, move);
    document.addEventListener("keydown", (event) => {
      if (isTyping(event) || keysAreOff() || event.key !== "b") return;
      choice.value = choice.value === "" ? "0" : "";
      show(current());
    });
  };
  return { show, outlines, start };
}

function startWheel(viewport, move) {
  let travelled = 0;
  viewport.addEventListener("wheel", (event) => {
    if (event.ctrlKey) return;
    event.preventDefault();
    travelled += event.deltaMode === 0 ? event.deltaY : event.deltaY * 40;
    while (Math.abs(travelled) >= 40) {
      move(Math.sign(travelled));
      travelled -= 40 * Math.sign(travelled);
    }
  }, { passive: false });
}

function startScrolling(viewport, move, go) {
  startWheel(viewport, move);
  let touchedAt = null;
  viewport.addEventListener("touchstart", (event) => (touchedAt = event.touches[0].clientY), { passive: true });
  viewport.addEventListener("touchmove", (event) => {
    const moved = event.touches[0].clientY - touchedAt;
    if (event.touches.length > 1 || Math.abs(moved) < 14) return;
    touchedAt = event.touches[0].clientY;
    move(Math.sign(moved));
  }, { passive: true });
  const steps = { ArrowDown: 1, ArrowRight: 1, PageDown: 5, ArrowUp: -1, ArrowLeft: -1, PageUp: -5 };
  document.addEventListener("keydown", (event) => {
    if (isTyping(event) || event.target.type === "range") return;
    if (event.key in steps) move(steps[event.key]);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(-1);
    else return;
    event.preventDefault();
  });
}

function startHiding(viewport) {
  document.addEventListener("keydown", (event) => {
    if (isTyping(event) || keysAreOff()) return;
    if (event.key === "h") viewport.classList.add("is-bare");
    if (event.key === "o") element("show-lines").click();
  });
  document.addEventListener("keyup", (event) => event.key === "h" && viewport.classList.remove("is-bare"));
  window.addEventListener("blur", () => viewport.classList.remove("is-bare"));
}

function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (isTyping(event) || keysAreOff() || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!/^[a-z]$/.test(event.key)) return;
    document.querySelector(`[data-key="${event.key}"]`)?.click();
  });
}

function keysAreOff() {
  return localStorage.getItem("keys-off") !== null || document.querySelector("dialog[open]") !== null;
}

function isTyping(event) {
  const target = event.target;
  return target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName) || (target.tagName === "INPUT" && !/^(range|checkbox)$/.test(target.type));
}
