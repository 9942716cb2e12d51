"""Contract: a data format, one module per file in `formats/`.

A module defines `Options` and any of `read_texts`, `read_pairs`, `read_prompts`. Rows that cannot
be used are returned with their numbers and reasons, never dropped in silence.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Generic, TypeVar

import xxhash
from pydantic import BaseModel, ConfigDict, ValidationError

from cluster.errors import UserError, unknown_name
from jobs import lookup

NUM_GROUPS = 20
"""Groups of prompts that intervals are taken over."""

_ROLES = {"texts": "texts to pretrain on", "pairs": "preference pairs", "prompts": "prompts"}


class Options(BaseModel):
    """Parent of every format's options: frozen, and a wrong name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoOptions(Options):
    """For a format that has nothing to set."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A piece of a prompt with one speaker."""

    role: str
    """`prompt`, `response`, `user`, `assistant` or `system`."""
    text: str
    """Its text, any separator included."""
    payload: tuple[int, int] | None = None
    """Where in the text what is said stands, from and to, the marks of a transcript around it left
    out: only this is transformed. None: all of it."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A prompt with a preferred and a dispreferred continuation; texts join as they are."""

    row: int
    """Row of the source, from 1."""
    prompt: str
    """What both continuations continue."""
    chosen: str
    """The preferred continuation."""
    rejected: str
    """The other one."""
    turns: tuple[Segment, ...] = ()
    """The prompt by speaker, without what marks turns, where the source says who speaks."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Text to put before a model: a prompt and its response, or the turns of a dialogue."""

    row: int
    """Row of the source, from 1."""
    source: str
    """What decides its group: the source prompt or dialogue, the same under every transform."""
    segments: tuple[Segment, ...]
    """Its pieces in order."""


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A row that cannot be used."""

    row: int
    """Row of the source, from 1."""
    reason: str
    """Why."""


Item = TypeVar("Item", str, Pair, Prompt)


@dataclass(frozen=True, kw_only=True)
class Reading(Generic[Item]):
    """What a format found in a source."""

    items: list[Item]
    """Usable rows, in the source's order."""
    dropped: list[Dropped] = field(default_factory=list)
    """The others."""
    toxic_words: tuple[str, ...] | None = None
    """The words known to be toxic, where the source knows them."""


def read(role: str, name: str, source: Path | None, options: Mapping[str, Any]) -> Reading[Any]:
    """Read `texts`, `pairs` or `prompts` of a source in the named format.

    Raises UserError: no such format, one that does not hold this, wrong options, bad data.
    """
    format_module = lookup.find("formats", name)
    reader = getattr(format_module, f"read_{role}", None)
    if reader is None:
        holding = [other for other in lookup.names("formats") if _holds(role, other)]
        raise UserError(f"format {name!r} holds no {_ROLES[role]}", where="format", allowed=holding)
    reading: Reading[Any] = reader(source, checked_options(name, format_module.Options, options))
    return reading


def _holds(role: str, name: str) -> bool:
    return hasattr(lookup.find("formats", name), f"read_{role}")


def checked_options(name: str, model: type[Options], options: Mapping[str, Any]) -> Options:
    """The options a format declares. Raises UserError with what exists and the nearest match."""
    for option in options:
        if option not in model.model_fields:
            raise unknown_name("option", option, model.model_fields, where=f"format {name}")
    try:
        return model(**options)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(
            f"option {'.'.join(str(part) for part in first['loc'])}: {first['msg'].lower()}",
            where=f"format {name}",
        ) from error


def source_of(name: str, source: Path | None, *, folder: bool = False) -> Path:
    """The source, present and of the right sort. Raises UserError otherwise."""
    if source is None:
        raise UserError(
            f"format {name!r} needs a source", where="source", hint="give `source: PATH`"
        )
    if not source.exists():
        raise UserError("no such file or folder", where=str(source), hint=_near(source))
    if source.is_dir() != folder:
        wanted = "a folder" if folder else "a file"
        raise UserError(f"format {name!r} reads {wanted}, this is not one", where=str(source))
    return source


def _near(source: Path) -> str | None:
    if not source.parent.is_dir():
        return None
    near = get_close_matches(source.name, [path.name for path in source.parent.iterdir()], n=1)
    return f"did you mean {near[0]!r}?" if near else None


def bucket(text: str, num_buckets: int) -> int:
    """Which of `num_buckets` a text falls in, the same everywhere and for good."""
    return xxhash.xxh3_64_intdigest(text.encode("utf-8")) % num_buckets


def group_of(source_prompt: str) -> int:
    """Group of a prompt, 0 to 19."""
    return bucket(source_prompt, NUM_GROUPS)
