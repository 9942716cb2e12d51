// One table that may have any number of rows: only those in sight are in the document.
// Columns are {name, width, side, above, text}, rows are numbers; `view` says what they hold.

const ROW_HEIGHT = 30;
const SPARE_ROWS = 8;
let printing = false;

class Grid {
  // view: {label, columns, levels, rows, cell(row, column) -> {text, mark, href, status, dim}, sortKey(row, column)}
  constructor(view) {
    this.view = view;
    this.sorting = { column: null, descending: false };
    this.active = { row: -1, column: 0 };
    this.head = element("thead", {});
    this.body = element("tbody", {});
    this.widths = element("colgroup", {});
    this.table = element("table", { role: "grid", "aria-label": view.label }, this.widths, this.head, this.body);
    this.element = element("div", { class: "scroller" }, this.table);
    this.element.addEventListener("scroll", () => this.drawSoon());
    this.element.addEventListener("keydown", (event) => this.keyed(event));
    this.element.addEventListener("focusin", (event) => this.remember(event.target));
    this.show(view.columns, view.rows);
  }

  show(columns, rows) {
    this.columns = columns;
    this.given = rows;
    if (!columns.includes(this.sorting.column)) this.sorting.column = null;
    this.active = { row: -1, column: Math.min(this.active.column, columns.length - 1) };
    this.table.setAttribute("aria-colcount", columns.length);
    this.table.setAttribute("aria-rowcount", rows.length + this.view.levels);
    this.table.style.width = `${columns.reduce((sum, column) => sum + column.width, 0)}px`;
    this.widths.replaceChildren(...columns.map((column) => element("col", { style: { width: `${column.width}px` } })));
    this.drawHead();
    this.sort();
  }

  sort() {
    const { column, descending } = this.sorting;
    this.rows = [...this.given];
    if (column) {
      const keys = new Map(this.rows.map((row) => [row, this.view.sortKey(row, column)]));
      const sign = descending ? -1 : 1;
      this.rows.sort((first, second) => compareKeys(keys.get(first), keys.get(second), sign) || first - second);
    }
    this.draw(true);
  }

  sortBy(column) {
    const again = this.sorting.column === column;
    if (again && this.sorting.descending) this.sorting = { column: null, descending: false };
    else this.sorting = { column, descending: again };
    this.drawHead();
    this.sort();
  }

  drawHead() {
    let left = 0;
    for (const column of this.columns) {
      column.left = left;
      if (column.side) left += column.width;
    }
    const lines = [];
    for (let level = 0; level < this.view.levels - 1; level++) lines.push(this.spanning(level));
    lines.push(element("tr", {}, this.columns.map((column, index) => this.sortHead(column, index))));
    this.head.replaceChildren(...lines);
  }

  spanning(level) {
    const line = element("tr", {});
    let run = null;
    for (const column of this.columns) {
      const path = column.side ? "side" : JSON.stringify(column.above.slice(0, level + 1));
      if (run && run.path === path) {
        run.cell.colSpan += 1;
        continue;
      }
      const cell = element("th", { scope: "colgroup", class: column.side ? "side corner" : null }, column.side ? "" : column.above[level]);
      line.append(cell);
      run = { path, cell };
    }
    return line;
  }

  sortHead(column, index) {
    const sorted = this.sorting.column === column;
    const state = sorted ? (this.sorting.descending ? "descending" : "ascending") : "none";
    const button = element(
      "button",
      { type: "button", tabindex: this.active.row === -1 && this.active.column === index ? 0 : -1, onclick: () => { this.active = { row: -1, column: index }; this.sortBy(column); this.focusActive(); } },
      column.name || "value",
      element("span", { class: "arrow", "aria-hidden": "true" }, { none: "", ascending: "▲", descending: "▼" }[state]),
    );
    return element("th", { scope: "col", "aria-sort": state, class: [column.side && "side", column.text && "words"].filter(Boolean).join(" ") || null, title: column.name, style: { left: column.side ? `${column.left}px` : "auto" } }, button);
  }

  drawSoon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(false); });
  }

  inSight() {
    if (printing) return [0, this.rows.length];
    const height = this.element.clientHeight || 600;
    const first = Math.max(0, Math.floor(this.element.scrollTop / ROW_HEIGHT) - SPARE_ROWS);
    return [first, Math.min(this.rows.length, first + Math.ceil(height / ROW_HEIGHT) + 2 * SPARE_ROWS)];
  }

  draw(anew) {
    const [first, last] = this.inSight();
    if (!anew && this.drawn && this.drawn[0] === first && this.drawn[1] === last) return;
    const hadFocus = this.body.contains(document.activeElement);
    this.drawn = [first, last];
    const lines = [spacer(first, this.columns.length)];
    for (let at = first; at < last; at++) lines.push(this.line(at));
    lines.push(spacer(this.rows.length - last, this.columns.length));
    this.body.replaceChildren(...lines.filter(Boolean));
    if (!this.table.querySelector('[tabindex="0"]')) this.head.lastElementChild.children[0].firstElementChild.tabIndex = 0;
    if (hadFocus && this.active.row >= first && this.active.row < last) this.focusActive();
  }

  line(at) {
    const row = this.rows[at];
    const cells = this.columns.map((column, index) => {
      const shown = this.view.cell(row, column);
      const focused = this.active.row === at && this.active.column === index ? 0 : -1;
      const inside = shown.href
        ? element("a", { href: shown.href, tabindex: focused, "aria-label": shown.told }, shown.text, shown.mark ? element("sup", {}, shown.mark) : null)
        : element("span", { tabindex: focused }, shown.text);
      const side = column.side && { scope: "row", class: "side", style: { left: `${column.left}px` } };
      return element(side ? "th" : "td", { title: shown.told || shown.text, "data-status": shown.status, class: [shown.dim && "dim", column.text && "words"].filter(Boolean).join(" ") || null, ...side }, inside);
    });
    return element("tr", { "aria-rowindex": at + 1 + this.view.levels }, cells);
  }
}

function spacer(rows, across) {
  return rows > 0 && element("tr", { "aria-hidden": "true", class: "spacer" }, element("td", { colspan: across, style: { height: `${rows * ROW_HEIGHT}px` } }));
}

// Numbers before text, the missing always last whichever way it is sorted.
function compareKeys(first, second, sign) {
  if (first === null || second === null) return (first === null) - (second === null);
  if (typeof first === "number" && typeof second === "number") return sign * (first - second);
  return sign * String(first).localeCompare(String(second), "en", { numeric: true });
}
