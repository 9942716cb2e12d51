"""`Chunks`: what a long pass has computed so far, so that a killed one goes on where it was.

A chunk is one safetensors file among the checkpoints of its attempt. It bears the digest of its
bytes in its name, so half a file is no chunk, and lies in a folder named after what it was computed
from, so it never answers another question.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cluster.disk.disk_faults import is_lost
from jobs.artifacts.artifact import digest_bytes
from jobs.worker.attempt_folder import AttemptFolder

Arrays = Mapping[str, np.ndarray]
"""Name -> numbers of one chunk."""


class Chunks:
    """The chunks of one job, by number: those that earlier attempts left, and those of this one."""

    def __init__(self, attempt: AttemptFolder, computed_from: str) -> None:
        """`computed_from` holds all that decides the numbers and is not in the job's key."""
        self._attempt = attempt
        self._folder = f"checkpoints/chunks-{digest_bytes(computed_from.encode())}"
        self._kept = {
            path.name.split("-", 1)[0]: path
            for folder in attempt.earlier(self._folder)
            for path in sorted(folder.glob("*.safetensors"))
            if _is_whole(path)
        }
        self.num_taken_over = 0

    def get(self, number: int, compute: Callable[[], Arrays]) -> Arrays:
        """Return a chunk: as an earlier attempt left it, or computed now and kept."""
        from safetensors.numpy import load_file, save

        path = self._kept.get(_name(number))
        if path is not None:
            self.num_taken_over += 1
            kept: Arrays = load_file(path)
            return kept
        arrays = compute()
        self._keep(number, save({name: np.asarray(array) for name, array in arrays.items()}))
        return arrays

    def _keep(self, number: int, data: bytes) -> None:
        relative = f"{self._folder}/{_name(number)}-{digest_bytes(data)}.safetensors"
        path = self._attempt.path / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".unfinished")
        temporary.write_bytes(data)
        os.replace(temporary, path)
        self._attempt.publish(relative)


def _is_whole(path: Path) -> bool:
    try:
        return digest_bytes(path.read_bytes()) == path.stem.split("-", 1)[1]
    except OSError as error:
        if not is_lost(error):
            raise
        return False


def _name(number: int) -> str:
    return f"{number:06d}"


def cut(places: Sequence[int], size: int) -> list[Sequence[int]]:
    """Cut places into consecutive parts of `size`, the last one shorter."""
    return [places[start : start + size] for start in range(0, len(places), size)]
