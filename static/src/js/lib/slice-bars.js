// The score per slice of both hips as bars; a click goes to the slice. Right solid, left dashed.
const SVG = "http://www.w3.org/2000/svg";
const [SLOT, HEIGHT, ROLE] = [20, 60, 4];

function node(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

function words(index, measures) {
  const said = [`Slice ${index + 1}`];
  for (const [side, rows] of Object.entries(measures)) {
    const row = rows.find((one) => one.index === index);
    if (row) said.push(`${side === "right" ? "R" : "L"} ${row.ratio === null ? "not assessable" : row.ratio.toFixed(3)} (${row.role})`);
  }
  return said.join(" · ");
}

export function drawBars(place, data, go) {
  const measures = data.measures;
  const rows = Object.values(measures).flat();
  if (!rows.length) return { mark() {} };
  const top = Math.max(...rows.map((row) => row.ratio ?? 0), 1e-9);
  const head = document.createElement("div");
  head.className = "bars-head";
  head.innerHTML = '<span>Lesion ÷ head intensity per slice, front to back</span><span><span class="key-right">R</span><span class="key-left">L</span></span>';
  place.append(head);
  const svg = node("svg", { viewBox: `0 0 ${data.n_slices * SLOT} ${HEIGHT + ROLE}`, preserveAspectRatio: "none", role: "img", "aria-label": `Score per slice, highest ${top.toFixed(3)}` }, place);
  const slots = [];
  for (let index = 0; index < data.n_slices; index += 1) {
    const slot = node("rect", { x: index * SLOT, y: 0, width: SLOT, height: HEIGHT + ROLE, class: "slot" }, svg);
    node("title", {}, slot).textContent = words(index, measures);
    slot.addEventListener("click", () => go(index));
    slots.push(slot);
    const role = rows.find((row) => row.index === index && row.role)?.role;
    if (role) node("rect", { x: index * SLOT + 1, y: HEIGHT + 1, width: SLOT - 2, height: ROLE - 1, class: `role role-${role}` }, svg);
  }
  for (const [side, list] of Object.entries(measures)) {
    for (const row of list) {
      const x = row.index * SLOT + (side === "right" ? 2 : SLOT / 2 + 1);
      const width = SLOT / 2 - 3;
      if (row.ratio === null) {
        node("line", { x1: x, x2: x + width, y1: HEIGHT - 4, y2: HEIGHT - 10, class: "none" }, svg);
        continue;
      }
      const height = Math.max((row.ratio / top) * (HEIGHT - 2), 0.75);
      node("rect", { x, y: HEIGHT - height, width, height, class: `bar-${side}` }, svg);
    }
  }
  return { mark: (here) => slots.forEach((slot, index) => slot.classList.toggle("is-here", index === here)) };
}
