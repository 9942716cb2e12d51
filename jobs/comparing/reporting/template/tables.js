// The tables stand in the document, whole: the browser searches and prints them. Here they are
// filtered and sorted, walked by keys, written one cell a line, and cut to the width of paper.

let filters = null;
const sheets = new Map();
const LINE_OF_PAPER = 140; // characters

// Where a link to a cell leads: numbers of table, row and column.
function placeOf(cell) {
  return cell?.querySelector('a[href^="#cell/"]')?.getAttribute("href").split("/").slice(1).map(Number);
}

class Sheet {
  // places: for every line the place behind each of its cells, if one is
  constructor(scroller, places) {
    this.scroller = scroller;
    this.table = scroller.firstElementChild;
    this.body = this.table.tBodies[0];
    this.lines = [...this.body.rows];
    this.heads = [...this.table.tHead.rows];
    this.leaves = [...this.heads.at(-1).cells];
    this.places = places;
    sheets.set(this.table, this);
  }

  static compact(scroller) {
    const lines = scroller.firstElementChild.tBodies[0].rows;
    const first = [...(lines[0]?.cells ?? [])].map(placeOf);
    return new Sheet(scroller, Array.from(lines, (_, row) => first.map((place) => place && [place[0], row, place[2]])));
  }

  // Hides rows and columns without a matching cell, dims other cells that do not match, and counts.
  filter() {
    const matches = this.places.map((line) => line.map((place) => place && filters[place[0]].matches(place[1], place[2])));
    const cells = matches.flat().filter(Boolean).length;
    if (!cells) return 0;
    this.lines.forEach((line, row) => {
      line.hidden = !matches[row].includes(true);
      matches[row].forEach((isMatch, column) => line.cells[column].classList.toggle("dim", isMatch === false));
    });
    this.keep(new Set(this.leaves.keys().filter((column) => matches.some((line) => line[column]))));
    if (this.table.querySelector('[tabindex="0"]')?.closest("[hidden]")) makeStop(this.leaves[0].firstElementChild);
    return cells;
  }

  keep(columns) {
    this.leaves.forEach((head, column) => {
      const hidden = Boolean(this.places[0]?.[column]) && !columns.has(column);
      if (head.hidden === hidden) return;
      for (const cell of [head, ...this.lines.map((line) => line.cells[column])]) cell.hidden = hidden;
    });
    for (const line of this.heads.slice(0, -1)) {
      let at = 0;
      for (const cell of line.cells) {
        const across = Number(cell.dataset.across ??= cell.colSpan);
        const covered = this.leaves.slice(at, at += across).filter((head) => !head.hidden).length;
        cell.hidden = covered === 0;
        cell.colSpan = covered || 1;
      }
    }
  }

  sort(head) {
    const order = { ascending: "descending", descending: "none" }[head.ariaSort] ?? "ascending";
    for (const other of this.leaves) other.ariaSort = other === head ? order : null;
    const column = this.leaves.indexOf(head);
    const keys = new Map(this.lines.map((line) => [line, keyOf(line.cells[column])]));
    const sign = order === "descending" ? -1 : 1;
    const sorted = [...this.lines].sort((first, second) => compareKeys(keys.get(first), keys.get(second), sign));
    this.body.append(...(order === "none" ? this.lines : sorted));
  }

  // Copies that paper is wide enough for, each with all rows and some of the columns.
  cut() {
    const width = (column) => Math.max(...[this.leaves[column], ...this.lines.map((line) => line.cells[column])].map((cell) => cell.textContent.length)) + 3;
    const columns = [...this.leaves.keys()].filter((column) => !this.leaves[column].hidden);
    const isSide = (column) => this.leaves[column].classList.contains("side");
    const sides = columns.filter(isSide).reduce((sum, column) => sum + width(column), 0);
    const pieces = [];
    let room = 0;
    for (const column of columns.filter((each) => !isSide(each))) {
      if (width(column) > room || !pieces.length) {
        pieces.push(new Set());
        room = LINE_OF_PAPER - sides;
      }
      pieces.at(-1).add(column);
      room -= width(column);
    }
    if (pieces.length < 2) return;
    this.scroller.classList.add("uncut");
    for (const piece of pieces) {
      const copy = this.scroller.cloneNode(true);
      copy.classList.replace("uncut", "piece");
      this.scroller.before(copy);
      new Sheet(copy, this.places).keep(piece);
    }
  }
}

function keyOf(cell) {
  if ("key" in cell.dataset) return cell.dataset.key === "" ? null : Number(cell.dataset.key);
  const place = placeOf(cell);
  return place ? cellAt(place).value : cell.textContent || null;
}

// Numbers before text, the missing always last whichever way a table is sorted.
function compareKeys(first, second, sign) {
  if (first === null || second === null) return (first === null) - (second === null);
  if (typeof first === "number" && typeof second === "number") return sign * (first - second);
  return sign * String(first).localeCompare(String(second), "en", { numeric: true });
}

// A table is one stop of the tab key: its last link, button or header that had the focus.
function makeStop(target) {
  const table = target.closest("table");
  for (const other of table.querySelectorAll(table.role ? '[tabindex="0"]' : "a, button")) other.tabIndex = -1;
  table.role = "grid";
  target.tabIndex = 0;
}

function moveFocus(event) {
  const across = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key] ?? 0;
  const down = { ArrowUp: -1, ArrowDown: 1, PageUp: -15, PageDown: 15 }[event.key] ?? (event.ctrlKey ? across : 0);
  const cell = event.target.closest("th, td");
  if (!cell || event.altKey || event.metaKey || (!across && !down)) return;
  event.preventDefault();
  const { body, heads } = sheets.get(cell.closest("table"));
  const near = (items, from, step) => {
    const inSight = items.filter((item) => !item.hidden);
    return inSight[Math.min(Math.max(inSight.indexOf(from) + step, 0), inSight.length - 1)];
  };
  const line = near([heads.at(-1), ...body.rows], cell.parentElement, Number.isFinite(down) || event.ctrlKey ? down : 0);
  const column = near([...cell.parentElement.cells], cell, across).cellIndex;
  const target = line.cells[column].querySelector("a, button") ?? line.cells[column];
  target.tabIndex = -1;
  target.focus();
}

function titleOf(cell) {
  const place = placeOf(cell);
  if (!place) return cell.textContent;
  const { status, reason } = cellAt(place);
  const why = status === "ok" ? reason : `${words(status)}: ${reason || data().meanings[status]}`;
  return `${headersAt(place).join(", ")}: ${cell.textContent}${why ? `; ${why}` : ""}`;
}

// The cells of a block one a line, with interval, controls, seeds, status and reason.
function listOf({ lines, places, table: compact }) {
  const cells = places.flatMap((line, row) => line.flatMap((place, column) => place ? [{ place, row, link: lines[row].cells[column], ...cellAt(place) }] : []));
  const { row_levels, column_levels, columns } = data().tables[cells[0].place[0]];
  const controls = data().controls.filter((name) => cells.some((cell) => name in cell));
  const text = (content) => element("td", { class: "words" }, content);
  const number = (value, content = value) => element("td", { "data-key": value ?? "" }, content ?? "");
  const head = (name, kind) => element("th", { scope: "col", class: kind }, element("button", { type: "button" }, name));
  const line = (cell) => element("tr", {},
    [...lines[cell.row].cells].slice(0, row_levels.length).map((side) => side.cloneNode(true)),
    columns[cell.place[2]].slice(1).map(text),
    cell.link.cloneNode(true),
    number(cell.low, interval(cell.low, cell.high, 3)),
    controls.map((name) => number(cell[name], cell[name] && Number(cell[name].toPrecision(3)))),
    number(cell.num_seeds || null),
    text(words(cell.status)), text(cell.reason));
  const heads = [
    ...row_levels.map((name) => head(name, "side words")), ...column_levels.slice(1).map((name) => head(name, "words")),
    ...["value", "95 % interval", ...controls.map(words), "seeds"].map((name) => head(name)), head("status", "words"), head("reason", "words"),
  ];
  const whole = element("table", { "aria-label": `${compact.getAttribute("aria-label")}, one cell a line` }, element("thead", {}, element("tr", {}, heads)), element("tbody", {}, cells.map(line)));
  const value = row_levels.length + column_levels.length - 1;
  return new Sheet(element("div", { class: "scroller list" }, whole), cells.map((cell) => heads.map((_, column) => column === value ? cell.place : undefined)));
}
