// Elements are made here and nowhere else: text is always text, never markup.
"use strict";

// What the tables' cells do not say themselves; read when it is first needed.
let parsed = null;
function data() {
  return parsed ??= JSON.parse(document.getElementById("data").textContent);
}

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

function exactly(number) {
  return number === null || number === undefined ? "missing" : String(number);
}

function interval(low, high, digits) {
  if (low === null && high === null) return "";
  const text = (end) => (end === null ? "…" : digits ? Number(end.toPrecision(digits)) : end);
  return `[${text(low)}, ${text(high)}]`;
}

function words(status) {
  return status.replaceAll("_", " ");
}

// A field that a cell does not name is missing, and its status is ok: there are ten thousand cells.
function cellAt([table, row, column]) {
  const cell = data().tables[table]?.cells[row]?.[column];
  return cell && { value: null, low: null, high: null, num_seeds: 0, status: "ok", reason: null, keys: [], ...cell };
}

function headersAt([table, row, column]) {
  return [...data().tables[table].rows[row], ...data().tables[table].columns[column]].filter(Boolean);
}
