// Choosing several bots: "all" ticks the boxes, a row ticks its own, and the page counts.
// Without this file the boxes and "all" work as they are sent.
(() => {
  "use strict";
  const form = document.getElementById("bulk");
  if (!form) return;
  const every = form.elements.all;
  const note = document.getElementById("picked");
  const boxes = [...form.querySelectorAll("[name=bot]")];
  const tell = () => {
    const n = boxes.filter((box) => box.checked).length;
    // What is on other pages of the list is counted by the server.
    note.textContent = n && !every.checked ? note.dataset.text.replace("{n}", n) : "";
  };
  form.addEventListener("change", (event) => {
    if (event.target === every) for (const box of boxes) box.checked = every.checked;
    else if (event.target.name === "bot" && !event.target.checked) every.checked = false;
    tell();
  });
  form.addEventListener("click", (event) => {
    const row = event.target.closest("tbody tr");
    if (row && !event.target.closest("a, input, label")) row.querySelector("[name=bot]").click();
  });
  window.addEventListener("pageshow", tell);
})();
