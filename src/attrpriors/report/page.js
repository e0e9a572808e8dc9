// Long tables: a click on a header sorts, words in the field above filter. Printed pages show what is folded.
"use strict";
const LONG = 10; // rows

const value = (row, column) => row.cells[column].textContent.trim();

function compare(one, other) { // numbers before words; of "0.912 ± 0.013 (5)" the first number counts
  const [a, b] = [parseFloat(one), parseFloat(other)];
  if (isNaN(a) && isNaN(b)) return one.localeCompare(other);
  return isNaN(a) ? 1 : isNaN(b) ? -1 : a - b;
}

function sortBy(table, column) {
  const headers = table.tHead.rows[0].cells;
  const ascending = headers[column].getAttribute("aria-sort") !== "ascending";
  for (const header of headers) header.setAttribute("aria-sort", "none");
  headers[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => (ascending ? 1 : -1) * compare(value(one, column), value(other, column)));
  table.tBodies[0].append(...rows);
}

function filter(table, words) {
  const wanted = words.toLowerCase().split(/\s+/);
  for (const row of table.tBodies[0].rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !wanted.every((word) => text.includes(word));
  }
}

for (const table of document.querySelectorAll(".wide table, .stacked")) {
  if (!table.tBodies.length || table.tBodies[0].rows.length < LONG) continue;
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    header.setAttribute("aria-sort", "none");
    header.tabIndex = 0;
    header.addEventListener("click", () => sortBy(table, column));
    header.addEventListener("keydown", (event) => event.key === "Enter" && sortBy(table, column));
  });
  const field = document.createElement("input");
  field.className = "filter";
  field.type = "search";
  field.placeholder = "filter rows";
  field.setAttribute("aria-label", "filter the rows of the table below");
  field.addEventListener("input", () => filter(table, field.value));
  table.before(field);
}

addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details:not(.long)")) part.open = true;
});
