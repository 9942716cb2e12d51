"""`Piece`: what one attempt left of a W&B run on this machine; attempts at a job share one run."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_FOLDER = re.compile(r"(?P<offline>offline-)?run-(?P<began>\d{8}_\d{6})-(?P<run>.+)")
_HEADER_BYTES = 7
"""A file of a run that was killed in its first seconds has no more: there is nothing to send, and
`wandb sync` stops at it."""
_SENT = ".synced"
"""What `wandb sync` adds to a file's name for its mark that all of it was taken."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One file of a run."""

    run: str
    """Id of the run in W&B."""
    file: Path
    """Its file, `run-<id>.wandb`."""
    began: str
    """When it was opened, `YYYYMMDD_HHMMSS` by its machine's clock."""
    is_online: bool
    """Whether it was sent while it was written, as far as W&B answered."""
    bytes: int
    """Size of the file."""
    written_at: float
    """When it was written to last, in seconds since the epoch."""

    @property
    def is_sent(self) -> bool:
        """Whether `wandb sync` has sent it, as it stands on disk now."""
        return self.file.with_name(self.file.name + _SENT).exists()


def pieces_in(folder: Path) -> dict[str, list[Piece]]:
    """Return the pieces below a folder of W&B's files by run, each run's in the order they began.

    Args:
        folder: as W&B was given it; its files lie in `wandb/` below it.
    """
    runs: dict[str, list[Piece]] = {}
    for place in sorted((folder / "wandb").glob("*run-*")):
        named = _FOLDER.fullmatch(place.name)
        if named is None or place.is_symlink():
            continue
        for file in place.glob("run-*.wandb"):
            about = file.stat()
            if about.st_size <= _HEADER_BYTES:
                continue
            piece = Piece(
                run=named["run"],
                file=file,
                began=named["began"],
                is_online=named["offline"] is None,
                bytes=about.st_size,
                written_at=about.st_mtime,
            )
            runs.setdefault(piece.run, []).append(piece)
    for pieces in runs.values():
        pieces.sort(key=lambda piece: piece.began)
    return runs


def unsent(pieces: Sequence[Piece]) -> list[Piece]:
    """Return what of a run is still to be sent.

    W&B drops rows that come after later ones. So a piece that was cut off online is sent again only
    where it is the run's last: what a later one has overtaken would be dropped anyway.
    """
    offline = [piece for piece in pieces if not piece.is_online and not piece.is_sent]
    last = pieces[-1]
    return [*offline, last] if last.is_online and not last.is_sent else offline
