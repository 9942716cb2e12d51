"""Table format `my_entry`: values between tabs.

The contract is analysis/tables/writer.py. Every comparison of the study writes its tables in it,
and `deltascale compare STUDY --format my_entry` prints one.
"""

from analysis.tables.table import Table

SUFFIX = ".my_entry.tsv"


def render(table: Table) -> bytes:
    """Return the table in this format: a complete file, the same bytes for equal tables."""
    head = [*table.row_levels, *("/".join(filter(None, header)) for header in table.columns)]
    lines = [head]
    for names, cells in zip(table.typed_rows, table.cells, strict=True):
        values = (cell.number.value for cell in cells)
        lines.append(
            [*map(str, names), *("" if value is None else f"{value:g}" for value in values)]
        )
    return "".join("\t".join(line) + "\n" for line in lines).encode()
