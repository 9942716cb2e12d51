// Which cells are shown: every word must stand in the cell's headers, and the status must be it.

class Filter {
  constructor(table) {
    this.table = table;
    this.rowTexts = table.rows.map((header) => header.join(" ").toLowerCase());
    this.columnTexts = table.columns.map((header) => header.join(" ").toLowerCase());
    this.set([], null);
  }

  set(words, status) {
    this.words = words;
    this.status = status;
    const holding = (texts) => words.map((word) => texts.map((text) => text.includes(word)));
    this.inRows = holding(this.rowTexts);
    this.inColumns = holding(this.columnTexts);
  }

  get isOpen() {
    return !this.words.length && this.status === null;
  }

  has(row, column) {
    if (this.status !== null && cellOf(this.table.cells[row][column]).status !== this.status) return false;
    return this.words.every((_, index) => this.inRows[index][row] || this.inColumns[index][column]);
  }

  // Rows and columns, of those given, that hold at least one cell that is shown.
  within(columns) {
    const rows = new Set();
    const kept = new Set();
    let cells = 0;
    for (let row = 0; row < this.table.rows.length; row++) {
      for (const column of columns) {
        if (!this.has(row, column)) continue;
        rows.add(row);
        kept.add(column);
        cells += 1;
      }
    }
    return { rows: [...rows], columns: columns.filter((column) => kept.has(column)), cells };
  }
}
