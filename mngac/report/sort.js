// A column's head is a button that sorts its table by the column, the larger numbers first; once more, the smaller.
"use strict";
const SCALE = { k: 1e3, M: 1e6 };

// The number that a cell begins with: ours where the paper's stands beside it; null for a dash or a word.
function numberOf(text) {
  const found = /^(<?)([-+]?[\d,]*\.?\d+(?:e[-+]?\d+)?)(?![\w.])\s*([kM]?)/.exec(text.split("|").pop().trim());
  if (!found) return null;
  const value = Number(found[2].replaceAll(",", "")) * (SCALE[found[3]] || 1);
  return found[1] ? value * 0.999 : value;
}

function sortBy(table, column, falling) {
  const body = table.tBodies[0];
  const keyed = [...body.rows].map((row) => {
    const text = row.cells[column].textContent.trim();
    return { row, text, value: numberOf(text) };
  });
  const words = keyed.every((each) => each.value === null);
  keyed.sort((a, b) => {
    if (words) return (falling ? -1 : 1) * a.text.localeCompare(b.text);
    if (a.value === null || b.value === null) return (a.value === null) - (b.value === null);
    return falling ? b.value - a.value : a.value - b.value;
  });
  body.append(...keyed.map((each) => each.row));
}

for (const table of document.querySelectorAll("main table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.textContent = head.textContent;
    button.title = "sort";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const falling = column ? head.ariaSort !== "descending" : head.ariaSort === "ascending";
      for (const each of heads) each.ariaSort = "none";
      head.ariaSort = falling ? "descending" : "ascending";
      sortBy(table, column, falling);
    });
  });
}
