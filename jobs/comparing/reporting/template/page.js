// The page as a whole: builds the tables, and listens to filter, buttons, keys, theme and printer.

const shown = document.getElementById("shown");
const filterBox = document.getElementById("filter");
const near = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) partOf.get(entry.target).build();
}, { rootMargin: "300px" });
const partOf = new Map();
const notes = [...document.querySelectorAll(".notes")];

function blocksOf(table) {
  const metrics = new Map();
  table.columns.forEach((header, index) => metrics.set(header[0], [...(metrics.get(header[0]) || []), index]));
  return [...metrics].map(([metric, columns]) => new Block(table, metric, columns));
}

function build() {
  near.disconnect();
  partOf.clear();
  parts = [];
  const made = tables.map((table) => {
    const own = state.shape === "list" ? [new List(table)] : blocksOf(table);
    parts.push(...own);
    const jump = own.length > 3 && element("nav", { class: "jump", "aria-label": `metrics of ${table.title}` }, own.map((part) => element("a", { href: `#${part.id}` }, part.metric)));
    const empty = !table.columns.length && element("p", {}, "Nothing was measured yet.");
    return element("div", { class: "table" }, element("h3", {}, table.title), jump, empty, own.map((part) => part.element), notes[table.index]);
  });
  shown.replaceChildren(...made);
  apply();
  for (const part of parts) {
    partOf.set(part.element, part);
    near.observe(part.element);
  }
}

function apply() {
  for (const table of tables) table.filter.set(state.words, state.status);
  const cells = parts.reduce((sum, part) => sum + part.apply(), 0);
  const all = tables.reduce((sum, table) => sum + table.rows.length * table.columns.length, 0);
  const count = (number) => number.toLocaleString("en");
  document.getElementById("found").textContent = cells === all ? `${count(all)} cells` : `${count(cells)} of ${count(all)} cells`;
}

filterBox.addEventListener("input", () => {
  state.words = filterBox.value.toLowerCase().split(/\s+/).filter(Boolean);
  apply();
  if (shown.getBoundingClientRect().top > innerHeight / 2) document.getElementById("tables").scrollIntoView();
});

function clearFilter() {
  filterBox.value = "";
  filterBox.dispatchEvent(new Event("input"));
}

for (const button of document.querySelectorAll("[data-shape]")) {
  button.addEventListener("click", () => {
    state.shape = button.dataset.shape;
    press("[data-shape]", (each) => each === button);
    build();
  });
}

for (const button of document.querySelectorAll("[data-status].status")) {
  button.addEventListener("click", () => {
    state.status = state.status === button.dataset.status ? null : button.dataset.status;
    press("[data-status].status", (each) => each.dataset.status === state.status);
    apply();
  });
}

function press(selector, isPressed) {
  for (const each of document.querySelectorAll(selector)) each.setAttribute("aria-pressed", String(isPressed(each)));
}

addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "/" && event.target !== filterBox) {
    event.preventDefault();
    filterBox.focus();
    filterBox.select();
  } else if (event.key === "Escape" && event.target === filterBox) {
    if (filterBox.value) clearFilter();
    else filterBox.blur();
  }
});

// Storage may be refused for a file opened from disk; the choice then lasts as long as the page.
const THEMES = ["auto", "light", "dark"];
function remembered(name) {
  try { return name === undefined ? localStorage.getItem("theme") : localStorage.setItem("theme", name); } catch { return null; }
}
function setTheme(name) {
  document.documentElement.dataset.theme = name;
  document.getElementById("theme").textContent = `Theme: ${name}`;
}
setTheme(THEMES.includes(remembered()) ? remembered() : "auto");
document.getElementById("theme").addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
  setTheme(next);
  remembered(next);
});

function print(starts) {
  printing = starts;
  for (const part of parts) {
    if (starts && !part.element.hidden) part.build();
    if (part.grid) part.grid.draw(true);
  }
}
addEventListener("beforeprint", () => print(true));
addEventListener("afterprint", () => print(false));

build();
followAddress();
