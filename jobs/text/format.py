"""Contract: a data format. Formats live in `formats/`, one class per file, named after it.

A format declares where its data come from, and defines any of `read_texts`, `read_pairs` and
`read_prompts`. Rows that cannot be used are returned with their numbers and reasons.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

import xxhash
from pydantic import BaseModel, ConfigDict, ValidationError

from analysis.long_table.circumstances import Origin
from cluster.errors import UserError, unknown_name
from jobs.door import Door

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

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
    """Start and end, in the text, of the words without a transcript's marks, which alone are
    transformed. None: all of it."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A prompt with a preferred and a dispreferred continuation; texts join as they are."""

    row: int
    """Row of the source, from 1."""
    prompt: str
    """The text before both continuations."""
    chosen: str
    """The preferred continuation."""
    rejected: str
    """The other one."""
    turns: tuple[Segment, ...] = ()
    """The prompt by speaker, without the marks of turns, where the source names speakers."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Text to put before a model: a prompt and its response, or the turns of a dialogue."""

    row: int
    """Row of the source, from 1."""
    source: str
    """The plain prompt or dialogue, which decides its group under every transform."""
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
    """What a format read from a source."""

    items: list[Item]
    """Usable rows, in the source's order."""
    dropped: list[Dropped] = field(default_factory=list)
    """The others."""
    toxic_words: tuple[str, ...] | None = None
    """The words known to be toxic, where the source knows them."""


OptionsT = TypeVar("OptionsT", bound=Options)


class Format(Generic[OptionsT]):
    """Parent of every format. A format defines the readers of what its sources hold."""

    ORIGIN: Origin
    """Where its texts and pairs come from; answers about preferences rest on it."""
    Options: type[OptionsT]
    """What a study may set."""

    def read_texts(self, source: Path | None, options: OptionsT) -> Reading[str]:
        """Read texts to pretrain on, in the source's order.

        Raises:
            UserError: the source is not there or is not of this format.
        """
        raise NotImplementedError

    def read_pairs(self, source: Path | None, options: OptionsT) -> Reading[Pair]:
        """Read preference pairs, in the source's order; raises as `read_texts`."""
        raise NotImplementedError

    def read_prompts(self, source: Path | None, options: OptionsT) -> Reading[Prompt]:
        """Read prompts to measure on, in the source's order; raises as `read_texts`."""
        raise NotImplementedError

    def train_tokenizer(
        self, documents: list[str], vocab_size: int | None
    ) -> "PreTrainedTokenizerFast | None":
        """Train a tokenizer of its own; None where any tokenizer does."""
        return None


FORMATS: Door[Format[Any]] = Door("format", "jobs.text.formats", contract=Format)

Role = Literal["texts", "pairs", "prompts"]
"""What a source is read as."""
_AnyReading = Reading[str] | Reading[Pair] | Reading[Prompt]
_DEFAULT_READERS = {
    "texts": Format.read_texts,
    "pairs": Format.read_pairs,
    "prompts": Format.read_prompts,
}


@overload
def read(
    role: Literal["texts"], name: str, source: Path | None, options: Mapping[str, object]
) -> Reading[str]: ...
@overload
def read(
    role: Literal["pairs"], name: str, source: Path | None, options: Mapping[str, object]
) -> Reading[Pair]: ...
@overload
def read(
    role: Literal["prompts"], name: str, source: Path | None, options: Mapping[str, object]
) -> Reading[Prompt]: ...
@overload
def read(
    role: Role, name: str, source: Path | None, options: Mapping[str, object]
) -> _AnyReading: ...
def read(role: Role, name: str, source: Path | None, options: Mapping[str, object]) -> _AnyReading:
    """Read a source in the named format.

    Args:
        role: what it is read as.
        name: of the format.
        source: file or folder, where the format reads one.
        options: of the format, as a study writes them.

    Raises:
        UserError: no such format, one that does not hold this, wrong options, bad data.
    """
    form = FORMATS.find(name)
    if not _holds(role, form):
        holding = [other for other in FORMATS.names() if _holds(role, FORMATS.find(other))]
        raise UserError(f"format {name!r} holds no {_ROLES[role]}", where="format", allowed=holding)
    readers: dict[Role, Callable[[Path | None, Any], _AnyReading]] = {
        "texts": form.read_texts,
        "pairs": form.read_pairs,
        "prompts": form.read_prompts,
    }
    return readers[role](source, checked_options(name, form.Options, options))


def _holds(role: Role, form: Format[Any]) -> bool:
    default = _DEFAULT_READERS[role]
    return getattr(type(form), default.__name__) is not default


def checked_options(name: str, model: type[OptionsT], options: Mapping[str, object]) -> OptionsT:
    """Validate the options of a format. Raises UserError with those that exist and the nearest."""
    for option in options:
        if option not in model.model_fields:
            raise unknown_name("option", option, model.model_fields, where=f"format {name}")
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(
            f"option {'.'.join(str(part) for part in first['loc'])}: {first['msg'].lower()}",
            where=f"format {name}",
        ) from error


def source_of(name: str, source: Path | None, *, folder: bool = False) -> Path:
    """Return the source once it exists and is a file, or a folder. Raises UserError otherwise."""
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
    """Return which of `num_buckets` a text falls in, the same everywhere and for good."""
    return xxhash.xxh3_64_intdigest(text.encode("utf-8")) % num_buckets


def group_of(source_prompt: str) -> int:
    """Return the group of a prompt, 0 to 19."""
    return bucket(source_prompt, NUM_GROUPS)
