// The page as a whole listens to filter, buttons, keys, theme and printer.

const shown = document.getElementById("shown");
const filterBox = document.getElementById("filter");
const blocks = [...document.querySelectorAll(".block")].map((section) => ({
  section, compact: Sheet.compact(section.querySelector(".scroller")), list: null, count: section.querySelector(".count"),
}));
const state = { words: [], status: null, shape: "compact" };

function apply() {
  filters ??= data().tables.map((table) => new Filter(table));
  for (const filter of filters) filter.set(state.words, state.status);
  let [cells, all] = [0, 0];
  const count = (number, of) => (number === of ? `${of.toLocaleString("en")} cells` : `${number.toLocaleString("en")} of ${of.toLocaleString("en")} cells`);
  for (const block of blocks) {
    const whole = block.compact.places.flat().filter(Boolean).length;
    const matching = block[state.shape].filter();
    block.section.hidden = matching === 0;
    block.count.textContent = matching === whole ? "" : count(matching, whole);
    cells += matching;
    all += whole;
  }
  document.getElementById("found").textContent = count(cells, all);
}

filterBox.addEventListener("input", () => {
  state.words = filterBox.value.toLowerCase().split(/\s+/).filter(Boolean);
  apply();
  if (shown.getBoundingClientRect().top > innerHeight / 2) document.getElementById("tables").scrollIntoView({ behavior: "instant" });
});

function press(selector, isPressed) {
  for (const button of document.querySelectorAll(selector)) button.setAttribute("aria-pressed", String(isPressed(button)));
}

for (const button of document.querySelectorAll("[data-shape]")) {
  button.addEventListener("click", () => {
    state.shape = button.dataset.shape;
    press("[data-shape]", (other) => other === button);
    for (const block of blocks) block.section.lastElementChild.replaceWith((block[state.shape] ??= listOf(block.compact)).scroller);
    apply();
  });
}

for (const button of document.querySelectorAll("[data-status].status")) {
  button.addEventListener("click", () => {
    state.status = state.status === button.dataset.status ? null : button.dataset.status;
    press("[data-status].status", (other) => other.dataset.status === state.status);
    apply();
  });
}

shown.addEventListener("keydown", moveFocus);
shown.addEventListener("click", ({ target }) => {
  const head = target.closest("thead th[scope=col]");
  if (head) sheets.get(head.closest("table")).sort(head);
});
shown.addEventListener("focusin", ({ target }) => target.closest("table") && makeStop(target));
for (const kind of ["pointerover", "focusin"]) {
  shown.addEventListener(kind, ({ target }) => {
    const cell = target.closest("tbody :is(th, td)");
    if (cell && !cell.title) cell.title = titleOf(cell);
  });
}

// Row headers stay in place once columns are scrolled; before that, it would only cost time.
shown.addEventListener("scroll", ({ target }) => target.classList.toggle("scrolled", target.scrollLeft > 0), true);

addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "/" && event.target !== filterBox) {
    event.preventDefault();
    filterBox.focus();
    filterBox.select();
  } else if (event.key === "Escape" && event.target === filterBox) {
    if (!filterBox.value) filterBox.blur();
    filterBox.value = "";
    filterBox.dispatchEvent(new Event("input"));
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

addEventListener("beforeprint", () => {
  for (const block of blocks) if (!block.section.hidden && state.shape === "compact") block.compact.cut();
  // A printed file resolves every link inside the page by search: minutes for thousands of them.
  for (const link of shown.querySelectorAll('a[href^="#cell/"]')) {
    link.dataset.href = link.getAttribute("href");
    link.removeAttribute("href");
  }
});
addEventListener("afterprint", () => {
  for (const link of shown.querySelectorAll("[data-href]")) link.setAttribute("href", link.dataset.href);
  for (const piece of document.querySelectorAll(".piece")) piece.remove();
  for (const whole of document.querySelectorAll(".uncut")) whole.classList.remove("uncut");
});

// Figures far below are loaded while nothing else is to do, one by one, so that paper has them.
const unloaded = [...document.images];
function loadNext() {
  const image = unloaded.shift();
  if (!image) return;
  Object.assign(image, { loading: "eager", decoding: "sync" });
  requestIdleCallback(loadNext);
}
addEventListener("load", () => requestIdleCallback(loadNext));

followAddress();
