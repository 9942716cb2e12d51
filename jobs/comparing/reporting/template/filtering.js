// Which cells match: every word must stand in the cell's headers, and the status must be the chosen one.

class Filter {
  constructor(table) {
    this.table = table;
    this.rowTexts = table.rows.map((header) => header.join(" ").toLowerCase());
    this.columnTexts = table.columns.map((header) => header.join(" ").toLowerCase());
    this.set([], null);
  }

  set(words, status) {
    this.status = status;
    const matches = (texts) => texts.map((text) => words.map((word) => text.includes(word)));
    this.inRows = matches(this.rowTexts);
    this.inColumns = matches(this.columnTexts);
  }

  matches(row, column) {
    if (this.status !== null && (this.table.cells[row][column].status ?? "ok") !== this.status) return false;
    return this.inRows[row].every((isIn, word) => isIn || this.inColumns[column][word]);
  }
}
