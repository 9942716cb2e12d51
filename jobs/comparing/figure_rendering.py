"""`FigureRendering`: drawn figures become files, in a second process where a second core is free.

Laying figures out and rendering them cost about the same, so two processes take about half as long.
A figure that the second process cannot render, whatever the reason (one of a study's own classes,
no memory, an end by force), is rendered here instead: the files are the same bytes either way.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cluster.disk.temp_folders import TempFolder
from cluster.machine.resources import usable_cpus

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from jobs.comparing.figure_rendering import main; main()"
)


class FigureRendering:
    """Renders the figures of one comparison; all files are there when its block is left."""

    def __init__(self, *, beside: bool | None = None) -> None:
        """Begin the second process.

        Args:
            beside: whether there is one; None: where this process may use a second core.
        """
        self._spool = TempFolder("figures")
        self._asked: list[tuple[Path, Path]] = []
        """Pickled figure and the file that it becomes, in order."""
        wanted = usable_cpus() > 1 if beside is None else beside
        self._process = self._begin() if wanted else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Wait for the second process and render what it left; end it where the block raised."""
        with self._spool:
            rendered = self._end(is_wanted=error is None)
            if error is None:
                for pickled, file in self._asked:
                    if str(file) not in rendered:
                        _render(pickled, file)

    def render(self, canvas: Figure, files: Iterable[Path]) -> None:
        """Render a figure to each of these files, by their suffixes, now or until the end."""
        pickled = self._spool.path / f"{len(self._asked)}.pickle"
        if self._process is not None and _could_pickle(canvas, pickled):
            for file in files:
                self._asked.append((pickled, file))
                self._ask(pickled, file)
            return
        render_here(canvas, files)

    def _begin(self) -> subprocess.Popen[bytes] | None:
        with suppress(OSError):  # no process to be had: all is rendered here
            return subprocess.Popen(
                [sys.executable, "-P", "-c", _CODE, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return None

    def _ask(self, pickled: Path, file: Path) -> None:
        assert self._process is not None and self._process.stdin is not None
        with suppress(BrokenPipeError):  # it ended: what it left is rendered here
            self._process.stdin.write(f"{json.dumps([str(pickled), str(file)])}\n".encode())
            self._process.stdin.flush()

    def _end(self, *, is_wanted: bool) -> set[str]:
        """End the second process; return the files that it wrote whole."""
        if self._process is None:
            return set()
        if not is_wanted:
            self._process.kill()
        out, _ = self._process.communicate()
        return {line.decode() for line in out.splitlines()}


def render_here(canvas: Figure, files: Iterable[Path]) -> None:
    """Render a figure to each of these files in this process."""
    from analysis.drawing.figure import to_bytes

    for file in files:
        file.write_bytes(to_bytes(canvas, file.suffix))


def main() -> None:
    """Render what standard input asks, a line each; print each file once it is whole."""
    for line in sys.stdin:
        pickled, file = map(Path, json.loads(line))
        with suppress(Exception):  # whatever it is, whoever asked renders it then
            _render(pickled, file)
            sys.stdout.write(f"{file}\n")
            sys.stdout.flush()


def _render(pickled: Path, file: Path) -> None:
    # Written by the process that asks, into a folder of its own.
    render_here(pickle.loads(pickled.read_bytes()), [file])


def _could_pickle(canvas: Figure, file: Path) -> bool:
    """Pickle a figure to a file; False where one of its parts cannot be."""
    try:
        file.write_bytes(pickle.dumps(canvas))
    except (pickle.PicklingError, TypeError, AttributeError):
        return False
    return True
