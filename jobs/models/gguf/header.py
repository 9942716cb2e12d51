"""Reads the head of a `.gguf` file: settings and the list of tensors; no weight is touched.

The layout is that of the GGUF specification (ggml-org/ggml, docs/gguf.md), versions 2 and 3. The
package `gguf` reads it, too, with an array for each string: 1.8 s of processor time for 49,152
tokens, which every plan would spend again.
"""

import math
import mmap
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cluster.errors import UserError
from jobs.models.file_content import require_content

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_NUMBERS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
"""Code of a type -> its form in `struct`, little-endian and unpadded."""
_MOST_DIMENSIONS = 4
_DIGITS = 7
"""Decimal digits that 32 bits hold: 1e-05 was written, 9.999999747378752e-06 is read."""
_CUT_OFF = "copy or download it again"


@dataclass(frozen=True, kw_only=True)
class GgufTensor:
    """A tensor as the head describes it."""

    shape: tuple[int, ...]
    """Its sizes in PyTorch's order, the fastest-moving last."""
    type_code: int
    """How it is stored: a value of `gguf.GGMLQuantizationType`."""
    offset: int
    """Bytes from the start of the file."""

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class GgufHeader:
    """The head of a file."""

    path: Path
    """The file."""
    settings: Mapping[str, Any]
    """Its metadata: name -> number, flag, string, or list of such."""
    tensors: Mapping[str, GgufTensor]
    """Name -> tensor, in the file's order."""

    @property
    def architecture(self) -> str:
        """The model's architecture, as llama.cpp names it."""
        return str(self.settings["general.architecture"])

    def setting(self, name: str, default: float | str | None = None) -> Any:
        """Return a setting of the architecture, a number as it was before 32 bits rounded it.

        Raises:
            UserError: the file does not say it, and there is no default.
        """
        value = self.settings.get(f"{self.architecture}.{name}", default)
        if value is None:
            raise UserError(f"the file does not say {self.architecture}.{name}")
        return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value

    def num_entries(self) -> Mapping[int, int]:
        """Map the code of a type to the entries of matrices that are stored so, most first.

        Vectors (norms, biases) are left out: no converter rounds them.
        """
        counted: Counter[int] = Counter()
        for tensor in self.tensors.values():
            if sum(size > 1 for size in tensor.shape) > 1:
                counted[tensor.type_code] += tensor.size
        return dict(counted.most_common())


def read_header(path: Path, where: str) -> GgufHeader:
    """Read the head of a file, once per state of the file.

    Args:
        path: the file.
        where: its name in errors.

    Raises:
        UserError: it is no such file, or its head is broken or cut off.
        SurroundingsError: it cannot be read.
    """
    require_content(path, where)
    state = path.stat()
    return _read_once(path, where, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=16)
def _read_once(path: Path, where: str, size: int, modified_ns: int) -> GgufHeader:
    if size < len(_MAGIC):
        raise UserError(f"{path.name} is empty or cut off", where=where, hint=_CUT_OFF)
    with (
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        _require_magic(content[:8], path, where)
        try:
            return _Reader(content).header(path)
        except (struct.error, UnicodeDecodeError, _Broken) as error:
            raise UserError(
                f"{path.name} is broken or cut off in its head: {error}", where=where, hint=_CUT_OFF
            ) from error


def _require_magic(start: bytes, path: Path, where: str) -> None:
    if start[:4] != _MAGIC:
        raise UserError(
            f"{path.name} is no GGUF file: it begins with {start[:4]!r}, not {_MAGIC!r}",
            where=where,
            hint="files of older layouts (ggml, ggjt) are converted by llama.cpp",
        )
    version = int.from_bytes(start[4:8], "little")
    if version in _VERSIONS:
        return
    if int.from_bytes(start[4:8], "big") in _VERSIONS:
        raise UserError(
            f"{path.name} is big-endian",
            where=where,
            hint="convert it with gguf-convert-endian of the package gguf",
        )
    raise UserError(
        f"{path.name} is of version {version} of GGUF",
        where=where,
        allowed=[str(known) for known in _VERSIONS],
    )


class _Broken(ValueError):
    """What the head holds cannot be: the file was cut off or overwritten."""


class _Reader:
    """Goes through the head of a file from its first byte."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._at = len(_MAGIC) + 4

    def header(self, path: Path) -> GgufHeader:
        """Read settings and list of tensors."""
        num_tensors, num_settings = self._numbers("QQ")
        settings = {}
        for _ in range(num_settings):
            name = self._string()
            settings[name] = self._value(*self._numbers("I"))
        if not isinstance(settings.get("general.architecture"), str):
            raise _Broken("it names no general.architecture")
        listed = {self._string(): self._tensor() for _ in range(num_tensors)}
        if len(listed) != num_tensors:
            raise _Broken("two tensors have one name")
        alignment = settings.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment <= 0:
            raise _Broken(f"general.alignment is {alignment!r}")
        start = -(-self._at // alignment) * alignment
        tensors = {
            name: GgufTensor(shape=shape, type_code=code, offset=start + offset)
            for name, (shape, code, offset) in listed.items()
        }
        return GgufHeader(path=path, settings=settings, tensors=tensors)

    def _tensor(self) -> tuple[tuple[int, ...], int, int]:
        (num_dimensions,) = self._numbers("I")
        if num_dimensions > _MOST_DIMENSIONS:
            raise _Broken(f"a tensor has {num_dimensions} dimensions")
        sizes = self._numbers(f"{num_dimensions}Q")
        code, offset = self._numbers("IQ")
        return tuple(reversed(sizes)), code, offset

    def _value(self, code: int) -> Any:
        if code == _STRING:
            return self._string()
        if code != _ARRAY:
            return self._numbers(self._form(code))[0]
        entries, count = self._numbers("IQ")
        if count > len(self._content):
            raise _Broken(f"a list of {count} entries")
        if entries == _STRING:
            return [self._string() for _ in range(count)]
        return list(self._numbers(f"{count}{self._form(entries)}"))

    @staticmethod
    def _form(code: int) -> str:
        if code not in _NUMBERS:
            raise _Broken(f"a value of the unknown type {code}")
        return _NUMBERS[code]

    def _string(self) -> str:
        (length,) = self._numbers("Q")
        end = self._at + length
        if end > len(self._content):
            raise _Broken(f"a string of {length} bytes reaches beyond the end")
        text, self._at = self._content[self._at : end], end
        return text.decode()

    def _numbers(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{form}", self._content, self._at)
        self._at += struct.calcsize(f"<{form}")
        return values
