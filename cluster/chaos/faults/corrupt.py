"""Fault `corrupt`: a byte of a file that was just written is changed, as by a failing disk."""

from pathlib import Path

from cluster.chaos.fault import Moment

HELP = "a byte of a file is changed after it was written; `verify --repair` mends what was finished"
POINTS = ("written",)
WHO = ("job",)
AMOUNT: float | None = None
UNIT = ""
LASTS = False
IS_DRAWN = False


def strike(moment: Moment) -> None:
    """Change a byte, chosen at random; an empty file stays as it is."""
    path = Path(str(moment.where["path"]))
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        if size:
            place = moment.number % size
            file.seek(place)
            byte = file.read(1)
            file.seek(place)
            file.write(bytes([byte[0] ^ 0xFF]))
