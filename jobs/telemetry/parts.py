"""`Parts`: a table that grows, as Parquet files of bounded size which are replaced as they grow.

A Parquet file cannot be added to. The one at hand is written anew with each flush until it has
`MOST_ROWS` rows; then the next begins. So at most what came after the last flush can be lost, and
memory holds one part: packed as Arrow columns, a tenth of what the same rows take as mappings.
"""

import io
import threading
from collections import deque
from typing import TYPE_CHECKING

from cluster.storage import Storage
from jobs.telemetry.columns import Row, schema

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 20_000
_MOST_KEPT = 5 * MOST_ROWS
"""Rows that are kept while the storage does not take them; older ones are dropped then."""
_PACKED_ROWS = 500
"""Rows that are packed together; so many are mappings at most."""


def telemetry_folder(study: str) -> str:
    """Return the folder of a study's telemetry, relative to the root."""
    return f"studies/{study}/telemetry"


class Parts:
    """One launch's files of one table, `<study>/telemetry/<table>/<launch>-<number>.parquet`."""

    def __init__(self, storage: Storage, study: str, launch: str, table: str) -> None:
        self._storage, self._table = storage, table
        self._name = f"{telemetry_folder(study)}/{table}/{launch}"
        self._number = self._num_written = 0
        self._rows: list[Row] = []
        self._packed: deque[pa.Table] = deque()
        self._has_news = False
        self._changing = threading.Lock()

    def add(self, row: Row) -> None:
        """Take a row, to be written at the next flush; any thread may add some."""
        with self._changing:
            self._rows.append(row)
            self._has_news = True
            if len(self._rows) >= _PACKED_ROWS:
                self._pack()

    def flush(self) -> None:
        """Write what was added; may be called again after a fault.

        Raises:
            SurroundingsError: the storage does not take it.
        """
        while (part := self._next_part()) is not None:
            try:
                self._storage.write(f"{self._name}-{self._number:04d}.parquet", _bytes(part))
            except Exception:
                with self._changing:
                    self._has_news = True
                raise
            with self._changing:
                self._num_written = part.num_rows
                if part.num_rows < MOST_ROWS:
                    return
                self._number, self._num_written = self._number + 1, 0
                self._drop(MOST_ROWS)
                self._has_news = bool(self._packed or self._rows)

    def _next_part(self) -> "pa.Table | None":
        """Return the rows of the part at hand; None where nothing was added."""
        import pyarrow as pa

        with self._changing:
            if not self._has_news:
                return None
            self._has_news = False
            self._pack()
            self._packed = deque([pa.concat_tables(self._packed).combine_chunks()])
            return self._packed[0].slice(0, MOST_ROWS)

    def _pack(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._packed.append(pa.Table.from_pylist(self._rows, schema=schema(self._table)))
            self._rows.clear()
        num_over = sum(table.num_rows for table in self._packed) - _MOST_KEPT
        if num_over <= 0:
            return
        if self._num_written:  # the part at hand stays as it was written
            num_over = max(num_over, self._num_written)
            self._number, self._num_written = self._number + 1, 0
        self._drop(num_over)

    def _drop(self, num_rows: int) -> None:
        """Forget the oldest rows."""
        while num_rows > 0 and self._packed:
            first = self._packed.popleft()
            if first.num_rows > num_rows:
                self._packed.appendleft(first.slice(num_rows))
            num_rows -= first.num_rows


def _bytes(table: "pa.Table") -> bytes:
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()
