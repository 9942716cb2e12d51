"""Contract: a data format. Formats live in `formats/`, one class per file, named after it.

A format declares where its data come from, and defines any of `read_texts`, `read_pairs`,
`read_prompts` and `read_labelled`. Rows that cannot be used are returned with their numbers and
reasons.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

import xxhash
from pydantic import BaseModel, ConfigDict, ValidationError

from analysis.long_table.circumstances import Origin
from analysis.measurement import NUM_GROUPS
from cluster.errors import UserError, unknown_name
from jobs.artifacts.placeholders import require_target
from jobs.door import Door
from jobs.text.rows.fault import listed, storable

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

MAX_DROPPED = 0.10
"""Share of a source's rows that may be broken, where a study sets none."""

_ROLES = {
    "texts": "texts to pretrain on",
    "pairs": "preference pairs",
    "prompts": "prompts",
    "labelled": "texts labelled as toxic or not",
}


class Options(BaseModel):
    """Parent of every format's options: frozen, and a wrong name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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

    @property
    def parts(self) -> tuple[str, str, str]:
        """Return the marks before its words, its words, and the marks after them."""
        start, end = self.payload or (0, len(self.text))
        return self.text[:start], self.text[start:end], self.text[end:]


Side = Literal["chosen", "rejected"]
"""Which answer of a pair."""


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
    """The prompt by speaker, marks included, where the source names speakers."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Text to put before a model: a prompt and its response, or the turns of a dialogue."""

    row: int
    """Row of the source, from 1."""
    source: str
    """The plain prompt or dialogue, which decides its group under every transform."""
    segments: tuple[Segment, ...]
    """Its pieces in order."""
    rejected: Segment | None = None
    """The other answer, where the last piece is the preferred one of a pair; None of no pair."""

    def with_answer(self, side: "Side") -> "Prompt | None":
        """Return the prompt with this side of its pair as its answer; None where it has no pair."""
        if self.rejected is None:
            return None
        return (
            self
            if side == "chosen"
            else replace(self, segments=(*self.segments[:-1], self.rejected))
        )


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A text that people judged."""

    row: int
    """Row of the source, from 1."""
    text: str
    """The text."""
    toxic: bool
    """The judgement."""


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A row that cannot be used."""

    row: int
    """Row of the source, from 1."""
    reason: str
    """Why."""
    malformed: bool = False
    """True for a row that is broken; others are left out by a rule or by the study's options."""
    useless: bool = False
    """True for a whole row that gives nothing by what it says, whatever the options."""


Item = TypeVar("Item", str, Pair, Prompt, Labelled)


@dataclass(frozen=True, kw_only=True)
class Reading(Generic[Item]):
    """What a format read from a source."""

    items: list[Item]
    """Usable rows, in the source's order."""
    dropped: list[Dropped] = field(default_factory=list)
    """The others."""
    toxic_words: tuple[str, ...] | None = None
    """The words known to be toxic, where the source knows them."""
    unused_columns: tuple[str, ...] = ()
    """Columns of the source that nothing reads."""
    notes: tuple[str, ...] = ()
    """What a reader should know of the source's files."""

    num_rows: int | None = None
    """Rows of the source, held-out ones included; None for a source that has none."""

    def malformed(self) -> list[Dropped]:
        """Return the rows that are broken."""
        return [row for row in self.dropped if row.malformed]

    def check_share(self, most: float, where: str | None) -> None:
        """Raise UserError, naming every kind of fault, where a larger share of rows is broken."""
        broken = self.malformed()
        count = len({row.row for row in broken})
        num_rows = self.num_rows or len(self.items) + len(self.dropped)
        if count and count / num_rows > most:
            raise UserError(
                listed(by_reason(broken)),
                where=where,
                hint=f"{count} of {num_rows} rows cannot be used, more than max_dropped {most:g}: "
                "mend the rows, or raise max_dropped",
            )


def by_reason(dropped: Sequence[Dropped]) -> dict[str, list[int]]:
    """Return reason -> numbers of the rows that have it."""
    rows: dict[str, list[int]] = {}
    for item in dropped:
        rows.setdefault(storable(item.reason), []).append(item.row)
    return rows


OptionsT = TypeVar("OptionsT", bound=Options)


class Format(Generic[OptionsT]):
    """Parent of every format. A format defines the readers of what its sources hold."""

    ORIGIN: Origin
    """Where its texts and pairs come from; answers about preferences rest on it."""
    Options: type[OptionsT]
    """What a study may set."""
    VERSION: int = 1
    """Raised whenever the same source and options would give other texts; keys hold it from 2."""

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

    def read_labelled(self, source: Path | None, options: OptionsT) -> Reading[Labelled]:
        """Read texts with a label each, in the source's order; raises as `read_texts`."""
        raise NotImplementedError

    def example_rows(self, options: OptionsT) -> Sequence[Mapping[str, object]]:
        """Return invented rows that stand in for a source which is not here; none by default.

        They are written as a file of rows, or the texts of their first column as lines.
        """
        return ()

    def train_tokenizer(
        self, documents: list[str], vocab_size: int | None
    ) -> "PreTrainedTokenizerFast | None":
        """Train a tokenizer of its own; None where any tokenizer does."""
        return None

    @property
    def has_own_tokenizer(self) -> bool:
        """True where it defines `train_tokenizer`."""
        return type(self).train_tokenizer is not Format.train_tokenizer


FORMATS: Door[Format[Any]] = Door("format", "jobs.text.formats", contract=Format)

Role = Literal["texts", "pairs", "prompts", "labelled"]
"""What a source is read as."""
_AnyReading = Reading[str] | Reading[Pair] | Reading[Prompt] | Reading[Labelled]
_DEFAULT_READERS = {
    "texts": Format.read_texts,
    "pairs": Format.read_pairs,
    "prompts": Format.read_prompts,
    "labelled": Format.read_labelled,
}


@overload
def read(
    role: Literal["texts"],
    name: str,
    source: Path | None,
    options: Mapping[str, object],
    max_dropped: float = ...,
) -> Reading[str]: ...
@overload
def read(
    role: Literal["pairs"],
    name: str,
    source: Path | None,
    options: Mapping[str, object],
    max_dropped: float = ...,
) -> Reading[Pair]: ...
@overload
def read(
    role: Literal["prompts"],
    name: str,
    source: Path | None,
    options: Mapping[str, object],
    max_dropped: float = ...,
) -> Reading[Prompt]: ...
@overload
def read(
    role: Literal["labelled"],
    name: str,
    source: Path | None,
    options: Mapping[str, object],
    max_dropped: float = ...,
) -> Reading[Labelled]: ...
@overload
def read(
    role: Role,
    name: str,
    source: Path | None,
    options: Mapping[str, object],
    max_dropped: float = ...,
) -> _AnyReading: ...
def read(
    role: Role,
    name: str,
    source: Path | None,
    options: Mapping[str, object],
    max_dropped: float = MAX_DROPPED,
) -> _AnyReading:
    """Read a source in the named format.

    Args:
        role: what it is read as.
        name: of the format.
        source: file or folder, where the format reads one.
        options: of the format, as a study writes them.
        max_dropped: share of its rows that may be broken.

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
        "labelled": form.read_labelled,
    }
    reading = readers[role](source, checked_options(name, form.Options, options))
    reading.check_share(max_dropped, str(source) if source else f"format {name}")
    return reading


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
    try:
        exists, is_right = source.exists(), source.is_dir() if folder else source.is_file()
    except (OSError, ValueError) as error:  # a name that no disk can hold
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"no such file or folder: {reason}", where=str(source)[:200], code="data-missing"
        ) from error
    if not exists:
        require_target(source, str(source))
        raise UserError(
            "no such file or folder", where=str(source), hint=_near(source), code="data-missing"
        )
    if not is_right:
        wanted = "a folder" if folder else "a file"
        raise UserError(f"format {name!r} reads {wanted}, this is not one", where=str(source))
    return source


def version_pins(name: str) -> Mapping[str, str]:
    """Return the pin of the version in which a format reads; none of a first one."""
    version = FORMATS.find(name).VERSION
    return {} if version == 1 else {"format": f"{name}/{version}"}


def formats_of_pairs() -> list[str]:
    """List the formats whose prompts come from pairs, so that both answers are known."""
    forms = {name: FORMATS.get(name) for name in FORMATS.names()}
    return [
        n for n, form in forms.items() if form and _holds("pairs", form) and _holds("prompts", form)
    ]


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
