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
_WAY_ON = "write it as UTF-8, for example `iconv -f WINDOWS-1252 -t UTF-8 FILE`"


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
    if content.count(0) * 4 > len(content):
        raise UserError(
            "not UTF-8: every other byte is zero, as in UTF-16 without a mark of byte order",
            where=str(path),
            hint="write it as UTF-8, for example `iconv -f UTF-16LE -t UTF-8 FILE`",
        )
    lines, faults = [], []
    for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        try:
            lines.append(line.removesuffix(b"\r").decode("utf-8"))
        except UnicodeDecodeError:
            faults.append(number)
    if faults:
        raise UserError(f"not UTF-8: {row_numbers(faults)}", where=str(path), hint=_WAY_ON)
    return lines
