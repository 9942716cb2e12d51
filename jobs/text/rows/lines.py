"""Reads the text of a file: UTF-8, or UTF-16 and UTF-32 where a mark of byte order says so."""

import codecs
from pathlib import Path

from cluster.errors import UserError
from jobs.text.rows.fault import row_numbers
from jobs.text.rows.file_bytes import read_bytes

# UTF-32's mark begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_IN_ENCODINGS = {
    (False, True, False, True): "UTF-16LE",
    (True, False, True, False): "UTF-16BE",
    (False, True, True, True): "UTF-32LE",
    (True, True, True, False): "UTF-32BE",
}
"""Which of four bytes are zero in most letters -> encoding."""
_MOST_ZEROS = 0.25
"""Share of zero bytes that no text has."""
_LONGEST_SHOWN = 60


def read_lines(path: Path) -> list[str]:
    r"""Read the lines of a text without their ends, which are \n, \r\n, or \r throughout.

    Raises:
        UserError: the text is in another encoding; names the first such lines.
    """
    lines = _text_lines(path, read_bytes(path))
    if len(lines) == 1 and "\r" in lines[0]:
        lines = lines[0].split("\r")
    return lines if lines[-1] else lines[:-1]


def _text_lines(path: Path, content: bytes) -> list[str]:
    for mark, encoding in _MARKS:
        if content.startswith(mark) and encoding != "utf-8":
            try:
                lines = content.removeprefix(mark).decode(encoding).split("\n")
            except UnicodeDecodeError as error:
                raise UserError(f"not {encoding}: {error.reason}", where=str(path)) from error
            return [line.removesuffix("\r") for line in lines]
    if content.count(0) > _MOST_ZEROS * len(content):
        raise _of_zeros(path, content)
    lines, faults = [], []
    for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        try:
            lines.append(line.removesuffix(b"\r").decode("utf-8"))
        except UnicodeDecodeError:
            faults.append(number)
    if faults:
        first = content.split(b"\n")[faults[0] - 1]
        raise UserError(
            f"not UTF-8: {row_numbers(faults)}", where=str(path), hint=_way_on(first, faults[0])
        )
    return lines


def _of_zeros(path: Path, content: bytes) -> UserError:
    """Make the fault for a text in two or four bytes a letter, and for a file cut by zeros."""
    quarter = max(1, len(content) // 4)
    zeros = tuple(content[at::4].count(0) > quarter / 2 for at in range(4))
    encoding = _IN_ENCODINGS.get((zeros[0], zeros[1], zeros[2], zeros[3]))
    if encoding:
        return UserError(
            f"not UTF-8: its zero bytes are those of {encoding}, without a mark of byte order",
            where=str(path),
            hint=f"write it as UTF-8: `iconv -f {encoding} -t UTF-8 FILE`",
        )
    row = content.count(b"\n", 0, content.index(0)) + 1
    return UserError(
        f"no text: {content.count(0):,} of {len(content):,} bytes are zero, the first in row {row}",
        where=str(path),
        hint="a disk that failed, or a crash, leaves zeros where rows were: make or copy it again",
    )


def _way_on(line: bytes, number: int) -> str:
    """Say how to write a file as UTF-8; no bytes tell in which other encoding they are."""
    way_on = "write it as UTF-8: `iconv -f ENCODING -t UTF-8 FILE`, in the ENCODING of its writer"
    start = next(at for at, byte in enumerate(line) if byte > 127)
    piece = line[max(0, start - 20) :][:_LONGEST_SHOWN]
    in_western = piece.decode("cp1252", "replace").strip()
    return f"{way_on}; as WINDOWS-1252, row {number} would read {in_western!r}"
