// HIMRISS by hand: shows the total while one types, and clears the sub-scores of a hip that is not assessable.
function refresh(hip) {
  const inputs = [...hip.querySelectorAll("input[data-sum]")];
  const box = hip.querySelector("input[type=checkbox]");
  for (const input of inputs) input.disabled = box.checked;
  const values = inputs.map((input) => (input.value.trim() === "" || !input.validity.valid ? NaN : Number(input.value)));
  const total = values.reduce((sum, value) => sum + value, 0);
  hip.querySelector("[data-total]").textContent = box.checked || Number.isNaN(total) ? "—" : String(total);
}

for (const hip of document.querySelectorAll("[data-hip]")) {
  hip.addEventListener("input", () => refresh(hip));
  refresh(hip);
}
