// "No complaints" answers every item of one hip with its best answer and the full range of motion; nothing is overwritten.
const FULL_MOTION = { flexion_deg: "110", abduction_deg: "20", external_rotation_deg: "15", adduction_deg: "15" };

function answer(side) {
  for (const field of document.querySelectorAll(`[name^="${side}-"]`)) {
    if (field.value !== "") continue;
    const item = field.name.slice(side.length + 1);
    field.value = field.tagName === "SELECT" ? field.options[1].value : FULL_MOTION[item];
  }
  document.getElementById("visit-form").dispatchEvent(new Event("input", { bubbles: true }));
}

for (const button of document.querySelectorAll("[data-best-answers]")) {
  button.addEventListener("click", () => answer(button.dataset.bestAnswers));
}
