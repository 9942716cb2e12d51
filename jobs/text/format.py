"""Contract: a data format. Formats live in `formats/`, one class per file, named after it.

A format declares where its data come from, and defines any of `read_texts`, `read_pairs`,
`read_prompts` and `read_labelled`. Rows that cannot be used are returned with their numbers and
reasons.
"""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from pydantic import BaseModel, ConfigDict, ValidationError

from analysis.long_table.circumstances import Origin
from cluster.errors import UserError, unknown_name
from jobs.door import Door
from jobs.sources.disk_fault import fault_of_disk
from jobs.sources.placeholders import pointer_beside, require_target
from jobs.text.reading import Labelled, Pair, Prompt, Reading

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
    readers: dict[Role, tuple[Callable[[Path | None, Any], _AnyReading], type]] = {
        "texts": (form.read_texts, str),
        "pairs": (form.read_pairs, Pair),
        "prompts": (form.read_prompts, Prompt),
        "labelled": (form.read_labelled, Labelled),
    }
    reader, item = readers[role]
    reading = reader(source, checked_options(name, form.Options, options))
    if not isinstance(reading, Reading) or not all(isinstance(i, item) for i in reading.items):
        raise UserError(f"what it returns is no Reading of {item.__name__}", where=f"format {name}")
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
    """Return the source once it exists and is a file, or a folder.

    Raises:
        UserError: it is neither.
        SurroundingsError: its disk does not answer.
    """
    if source is None:
        raise UserError(
            f"format {name!r} needs a source", where="source", hint="give `source: PATH`"
        )
    try:
        exists, is_right = source.exists(), source.is_dir() if folder else source.is_file()
    except (OSError, ValueError) as error:  # a name that no disk can hold
        reason = getattr(error, "strerror", None) or error
        raise fault_of_disk(source, error) or UserError(
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
    if (pointer := pointer_beside(source)) is not None:
        return pointer
    if not source.parent.is_dir():
        return "a data set of the hub is written hf://datasets/organisation/name"
    near = get_close_matches(source.name, [path.name for path in source.parent.iterdir()], n=1)
    return f"did you mean {near[0]!r}?" if near else None
