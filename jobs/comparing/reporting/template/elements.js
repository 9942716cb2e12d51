// Elements are made here and nowhere else: text is always text, never markup.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);

const CONTROLS = data.controls;

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [property, set] of Object.entries(value)) made.style.setProperty(property, set);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

function exactly(number) {
  return number === null || number === undefined ? "missing" : String(number);
}

function interval(low, high, digits) {
  if (low === null && high === null) return "";
  const shown = (end) => (end === null ? "…" : digits ? Number(end.toPrecision(digits)) : end);
  return `[${shown(low)}, ${shown(high)}]`;
}

// What a cell does not say is missing, and its status is ok: there are ten thousand of them.
function cellOf(cell) {
  return { value: null, low: null, high: null, num_seeds: 0, status: "ok", reason: null, mark: "", keys: [], ...cell };
}
