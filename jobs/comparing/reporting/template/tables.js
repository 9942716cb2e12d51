// The tables, as a block per metric or as one list of cells. Blocks are built when they come near.

const tables = data.tables.map((table, index) => ({ ...table, index, filter: new Filter(table) }));
const state = { words: [], status: null, shape: "blocks" };
let parts = [];

function told(table, row, column) {
  const cell = cellOf(table.cells[row][column]);
  const where = [...table.rows[row], ...table.columns[column]].filter(Boolean).join(", ");
  const why = cell.status === "ok" ? cell.reason : `${words(cell.status)}: ${cell.reason || data.meanings[cell.status]}`;
  return `${where}: ${cell.text}${why ? `; ${why}` : ""}`;
}

function words(status) {
  return status.replaceAll("_", " ");
}

function shownCell(table, row, column) {
  const cell = cellOf(table.cells[row][column]);
  return { text: cell.text, mark: cell.mark, status: cell.status, told: told(table, row, column), href: `#cell/${table.index}/${row}/${column}` };
}

function widthOf(texts, least) {
  const longest = texts.reduce((most, text) => Math.max(most, String(text ?? "").length), 0);
  return Math.round(Math.min(Math.max(least, longest * 7.6 + 30), 340));
}

function sides(table) {
  return table.row_levels.map((name, level) => ({
    name, level, side: true, above: [], text: true,
    width: widthOf([`${name}  `, ...table.rows.map((header) => header[level])], 60),
  }));
}

class Block {
  constructor(table, metric, columns) {
    Object.assign(this, { table, metric, columns });
    this.id = `block-${table.index}-${columns[0]}`;
    this.body = element("div", { class: "body" });
    this.count = element("span", { class: "count" });
    const by = table.column_levels.slice(1).filter((_, level) => columns.some((index) => table.columns[index][level + 1])).join(", ");
    this.element = element("section", { class: "block", id: this.id, "aria-label": metric }, element("h4", {}, metric, " ", by && element("small", {}, `by ${by} `), this.count), this.body);
    this.body.style.minHeight = `${(Math.min(table.rows.length, 12) + table.column_levels.length) * ROW_HEIGHT}px`;
  }

  apply() {
    this.found = this.table.filter.within(this.columns);
    this.element.hidden = this.found.cells === 0;
    const all = this.columns.length * this.table.rows.length;
    this.count.textContent = this.found.cells === all ? "" : `${this.found.cells} of ${all} cells`;
    if (this.grid && !this.element.hidden) this.grid.show(this.picked(), this.found.rows);
    return this.found.cells;
  }

  picked() {
    const kept = new Set(this.found.columns);
    return this.all.filter((column) => column.side || kept.has(column.index));
  }

  build() {
    if (this.grid) return;
    const table = this.table;
    const own = this.columns.map((index) => {
      const above = table.columns[index].slice(1);
      return {
        index, above, name: above.length ? above[above.length - 1] : "value",
        width: widthOf([`${above[above.length - 1] ?? "value"}  `, ...table.cells.map((line) => line[index].text + (line[index].mark ?? ""))], 84),
      };
    });
    this.all = [...sides(table), ...own];
    this.grid = new Grid({
      label: `${table.title}: ${this.metric}`,
      levels: Math.max(1, table.column_levels.length - 1),
      columns: this.picked(),
      rows: this.found.rows,
      cell: (row, column) => column.side
        ? { text: table.rows[row][column.level] }
        : { ...shownCell(table, row, column.index), dim: !table.filter.has(row, column.index) },
      sortKey: (row, column) => column.side ? table.rows[row][column.level] : table.cells[row][column.index].value ?? null,
    });
    this.body.style.minHeight = "0";
    this.body.replaceChildren(this.grid.element);
    this.grid.draw(true);
  }
}

class List {
  constructor(table) {
    this.table = table;
    this.body = element("div", { class: "body" });
    this.element = element("section", { class: "block list", "aria-label": `${table.title}, one cell a line` }, this.body);
  }

  apply() {
    this.found = [];
    const across = this.table.columns.length;
    for (let row = 0; row < this.table.rows.length; row++) {
      for (let column = 0; column < across; column++) if (this.table.filter.has(row, column)) this.found.push(row * across + column);
    }
    this.element.hidden = this.found.length === 0;
    if (this.grid) this.grid.show(this.grid.columns, this.found);
    return this.found.length;
  }

  build() {
    if (this.grid) return;
    const { table } = this;
    const across = table.columns.length;
    const place = (at) => [Math.floor(at / across), at % across];
    const columns = listColumns(table).map((column) => ({ above: [], ...column }));
    this.grid = new Grid({
      label: `${table.title}, one cell a line`, levels: 1, columns, rows: this.found,
      cell: (at, column) => column.name === "value" ? shownCell(table, ...place(at)) : { text: String(column.of(...place(at)) ?? "") },
      sortKey: (at, column) => column.key ? column.key(...place(at)) : column.of(...place(at)) || null,
    });
    this.body.replaceChildren(this.grid.element);
    this.grid.draw(true);
  }
}

function listColumns(table) {
  const cell = (row, column) => cellOf(table.cells[row][column]);
  const control = (name) => (row, column) => cell(row, column)[name] ?? null;
  const controlled = CONTROLS.filter((name) =>
    table.cells.some((line) => line.some((cell) => name in cell)));
  const short = (value) => (value === null ? "" : Number(value.toPrecision(3)));
  return [
    ...table.row_levels.map((name, level) => ({ name, text: true, of: (row) => table.rows[row][level], width: widthOf([`${name}  `, ...table.rows.map((header) => header[level])], 60) })),
    ...table.column_levels.map((name, level) => ({ name, text: true, of: (_, column) => table.columns[column][level], width: widthOf([`${name}  `, ...table.columns.map((header) => header[level])], 70) })),
    { name: "value", of: (row, column) => cell(row, column).text, key: (row, column) => cell(row, column).value, width: widthOf(table.cells.flatMap((line) => line.map((cell) => cell.text + (cell.mark ?? ""))), 90) },
    { name: "95 % interval", of: (row, column) => interval(cell(row, column).low, cell(row, column).high, 3), key: (row, column) => cell(row, column).low, width: 170 },
    ...controlled.map((name) => ({ name: words(name), of: (row, column) => short(control(name)(row, column)), key: control(name), width: 110 })),
    { name: "seeds", of: (row, column) => cell(row, column).num_seeds || "", key: (row, column) => cell(row, column).num_seeds, width: 70 },
    { name: "status", text: true, of: (row, column) => words(cell(row, column).status), width: 150 },
    { name: "reason", text: true, of: (row, column) => cell(row, column).reason, width: 340 },
  ];
}
