"""What SLURM says, by version: recorded ones, and others written after their documentation."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

HERE = Path(__file__).parent
VERSIONS = sorted(file.stem for file in HERE.glob("*.yaml"))
"""Versions that there are answers of; `22.05.8` was recorded."""


class Answer(NamedTuple):
    """What a command of SLURM said."""

    command: str
    exit: int
    stdout: str
    stderr: str


@cache
def recorded(version: str = "22.05.8") -> dict[str, Answer]:
    """Return a version's answers by name."""
    text = (HERE / f"{version}.yaml").read_text(encoding="utf-8")
    return {name: Answer(**fields) for name, fields in yaml.safe_load(text).items()}
