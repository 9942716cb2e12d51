// A grid is one stop of the tab key; arrows move inside it, its header line included.

Object.assign(Grid.prototype, {
  keyed(event) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW_HEIGHT) - 2);
    const moves = {
      ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
      PageUp: [-page, 0], PageDown: [page, 0],
      Home: [event.ctrlKey ? -Infinity : 0, -Infinity], End: [event.ctrlKey ? Infinity : 0, Infinity],
    };
    const move = moves[event.key];
    if (!move || event.altKey || event.metaKey) return;
    event.preventDefault();
    const row = Math.min(Math.max(this.active.row + move[0], -1), this.rows.length - 1);
    const column = Math.min(Math.max(this.active.column + move[1], 0), this.columns.length - 1);
    this.active = { row, column };
    this.reveal();
    this.focusActive();
  },

  reveal() {
    const { row, column } = this.active;
    const head = this.head.offsetHeight;
    const top = row * ROW_HEIGHT;
    const box = this.element;
    if (row >= 0 && top < box.scrollTop) box.scrollTop = top;
    if (top + ROW_HEIGHT + head > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW_HEIGHT + head - box.clientHeight;
    const widths = this.columns.map((each) => each.width);
    const sides = this.columns.reduce((sum, each) => sum + (each.side ? each.width : 0), 0);
    const left = widths.slice(0, column).reduce((sum, width) => sum + width, 0);
    if (!this.columns[column].side) {
      if (left - sides < box.scrollLeft) box.scrollLeft = left - sides;
      if (left + widths[column] > box.scrollLeft + box.clientWidth) box.scrollLeft = left + widths[column] - box.clientWidth;
    }
    this.draw(false);
  },

  at(row, column) {
    const line = row < 0 ? this.head.lastElementChild : this.body.querySelector(`tr[aria-rowindex="${row + 1 + this.view.levels}"]`);
    return line && line.children[column] && line.children[column].firstElementChild;
  },

  focusActive() {
    for (const old of this.table.querySelectorAll('[tabindex="0"]')) old.tabIndex = -1;
    const target = this.at(this.active.row, this.active.column);
    if (!target) return;
    target.tabIndex = 0;
    target.focus({ preventScroll: true });
  },

  remember(target) {
    const cell = target.closest("th, td");
    if (!cell) return;
    const line = cell.parentElement;
    const row = this.head.contains(cell) ? -1 : Number(line.getAttribute("aria-rowindex")) - 1 - this.view.levels;
    this.active = { row, column: [...line.children].indexOf(cell) };
    for (const old of this.table.querySelectorAll('[tabindex="0"]')) if (old !== target) old.tabIndex = -1;
    target.tabIndex = 0;
  },
});
