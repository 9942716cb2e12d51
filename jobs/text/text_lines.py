"""Lines of a plain text file, or of every .txt file of a folder."""

from pathlib import Path

from cluster.errors import UserError
from jobs.text.data_file import read_lines
from jobs.text.format import source_of


def numbered_lines(name: str, source: Path | None) -> list[tuple[int, str]]:
    """Read (row, line) of one file or of a folder's, by file name, numbered through.

    Raises:
        UserError: there is no file, or lines are not UTF-8; `name` is the format's.
    """
    if source is not None and source.is_dir():
        files = sorted(source.glob("*.txt"))
        if not files:
            raise UserError("no .txt file in it", where=str(source))
    else:
        files = [source_of(name, source)]
    return list(enumerate((line for file in files for line in read_lines(file)), start=1))
