"""Kind `prompts`: prompts and dialogues to measure models on, in one transform, as text.

A transform applies to every segment by itself, so the boundary of the answer stays; a Base64
segment then ends in its own padding, unless it has 3n bytes. Their token plan is made per tokenizer
by who measures. Groups come from the plain text: the same under every transform. Beside the prompts
stand the same with their words out of order, for the decode control of `behave`.
"""

from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any

from pydantic import Field

from cluster.errors import UserError
from jobs.kind import Kind, Names, Params, Upstream, added, data_path
from jobs.provenance import Data
from jobs.rehearsal import FEW, StandIns, sampled, with_data
from jobs.text.format import FORMATS, formats_of_pairs, version_pins
from jobs.text.planned import MOST_TRIED, Planned, planned
from jobs.text.prompt_artifact import lines_of, sampled_prompts, write_prompts
from jobs.text.prompt_lines import PromptLine
from jobs.text.reading import Dropped, Prompt, Reading, Side
from jobs.text.reading_report import about_source, write_report, write_toxic_words
from jobs.text.source_check import check_source, max_dropped, read_source
from jobs.text.transform import TRANSFORMS, load_transform
from jobs.text.untouched import note_on_untouched
from jobs.tokens.position_policy import Policy
from jobs.worker.work import Work


class PromptsParams(Params):
    """Where prompts come from, which are taken, and what is done to them."""

    source: str | tuple[str, ...] | None = data_path(
        None, "File or folder, or a list of them, where the format reads one."
    )
    format: Annotated[str, Names(FORMATS)] = Field(
        ..., description="Format of the source: a file of `jobs/text/formats/`."
    )
    options: dict[str, Any] = Field({}, description="Options of the format.")
    transform: Annotated[str, Names(TRANSFORMS, joined_by="+")] = Field(
        "plain",
        description="A file of `jobs/text/transforms/`, or several joined by `+`, left first.",
    )
    positions: tuple[Policy, ...] = Field(
        ("last", "response"), min_length=1, description="Which tokens give rows."
    )
    max_prompts: int | None = Field(
        None, ge=1, description="Most prompts: those of the smallest seeded hashes."
    )
    max_words: int | None = Field(
        None, ge=1, description="Prompts with more words, answers included, are left out."
    )
    seed: int = Field(0, description="Decides the sample and random transforms.")
    max_dropped: float = max_dropped()
    answer: Side | None = added(
        None,
        "Whose answer stands behind a prompt that comes from a pair: the `chosen` or the "
        "`rejected` one, which `prefill` begins a reply with. Prompts without a pair are left out. "
        "Null: as the format gives it, the chosen one.",
    )


class Prompts(Kind[PromptsParams]):
    """Reads prompts, samples and transforms them."""

    VERSION = 2
    INPUTS = {}
    Params = PromptsParams
    LEAVES = Data(origin=None)
    USES_TORCH = False

    def pins(self, params: PromptsParams, known: Mapping[str, str]) -> Mapping[str, str]:
        """Read the sources once, to report early what is wrong; their paths are digested."""
        load_transform(params.transform)
        _check_sources(params)
        _check_positions(_look(_Asked(self.planned(params), params)).roles, params)
        return version_pins(params.format)

    def notes(self, params: PromptsParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say which rows of the sources cannot be used, and which the transform leaves."""
        notes = _check_sources(params)
        with suppress(UserError):  # who plans what reads them says what is wrong
            notes += _look(_Asked(self.planned(params), params)).untouched
        return notes

    def planned(self, params: PromptsParams) -> Planned[PromptLine]:
        """Describe what a job will leave."""
        return planned(params, _sources(params), lambda: self._read_ahead(params))

    def knows_toxic_words(self, params: PromptsParams) -> bool:
        """Tell whether the sources say which words are toxic, as far as they can be read."""
        try:
            return _look(_Asked(self.planned(params), params)).knows_words
        except UserError:
            return True  # planning the stage itself says what is wrong

    def _read_ahead(self, params: PromptsParams) -> Sequence[PromptLine]:
        """Read what a job will leave, as it will; nothing where its source cannot be read."""
        try:
            prompts = _sample(params).prompts
        except UserError:
            return []  # planning the stage itself says what is wrong
        return lines_of(prompts, params.transform, params.seed)

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Take a few prompts."""
        few = {**sampled(written, max_prompts=FEW), **with_data(written, stand_ins)}
        return {**super().in_small(written, stand_ins), **few}

    def run(self, work: Work[PromptsParams]) -> dict[str, object]:
        """Write prompts.jsonl, shuffled.jsonl, report.json and toxic.json where words are known."""
        params = work.params
        sample = _sample(params)
        _check_positions(sample.roles, params)
        write_prompts(work.folder, sample.prompts, params.transform, params.seed)
        counts = {
            "num_prompts": len(sample.prompts),
            "num_dropped": len(sample.dropped),
            "num_not_sampled": sample.num_not_sampled,
        }
        write_report(work.folder, sample.dropped, {**counts, **about_source(sample.reading)})
        if sample.reading.toxic_words is not None:
            write_toxic_words(work.folder, sample.reading.toxic_words, "known")
        answer = {} if params.answer is None else {"answer": params.answer}
        return {
            **counts,
            "transform": params.transform,
            "positions": list(params.positions),
            **answer,
        }


def _sources(params: PromptsParams) -> Sequence[str | None]:
    return params.source if isinstance(params.source, tuple) else (params.source,)


def _read(params: PromptsParams) -> Reading[Prompt]:
    """All sources, one after the other."""
    readings = [
        read_source("prompts", params.format, source, params.options, params.max_dropped)
        for source in _sources(params)
    ]
    return Reading(
        items=[prompt for reading in readings for prompt in reading.items],
        dropped=[row for reading in readings for row in reading.dropped],
        toxic_words=readings[0].toxic_words if readings else None,
        unused_columns=tuple(
            dict.fromkeys(name for reading in readings for name in reading.unused_columns)
        ),
        notes=tuple(note for reading in readings for note in reading.notes),
    )


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """The prompts that a job leaves, and what is said of the others."""

    reading: Reading[Prompt]
    """What was read of all sources."""
    prompts: Sequence[Prompt]
    """As they stand there, before the transform."""
    dropped: Sequence[Dropped]
    """Rows that cannot be used, and those that the params leave out."""
    num_not_sampled: int
    """How many could be used and are beyond `max_prompts`."""

    @property
    def roles(self) -> frozenset[str]:
        """Roles of their segments."""
        return frozenset(part.role for one in self.prompts for part in one.segments)


def _sample(params: PromptsParams) -> _Sample:
    """Read the sources and take what the params want. Raises UserError where none can be read."""
    reading = _read(params)
    usable, dropped = _usable(reading.items, params)
    prompts = sampled_prompts(usable, params.max_prompts, params.seed)
    return _Sample(
        reading=reading,
        prompts=prompts,
        dropped=[*reading.dropped, *dropped],
        num_not_sampled=len(usable) - len(prompts),
    )


def _check_sources(params: PromptsParams) -> list[str]:
    """Return what should be known of the sources. Raises UserError where one cannot be read."""
    checked = (
        check_source("prompts", params.format, source, params.options, params.max_dropped)
        for source in _sources(params)
    )
    return [note for notes in checked for note in notes]


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What a plan asks about the prompts that a job will leave."""

    roles: frozenset[str]
    """Roles of their segments."""
    untouched: Sequence[str]
    """Notes on those that the transform leaves."""
    knows_words: bool
    """Whether their source says which words are toxic."""


@dataclass(frozen=True)
class _Asked:
    """Prompts that a plan asks about."""

    prompts: Planned[PromptLine]
    """They are known by this."""
    params: PromptsParams = field(compare=False)
    """Params of the job that leaves them, which `prompts` holds as text."""


@lru_cache(maxsize=64)
def _look(asked: _Asked) -> _Look:
    """Read prompts once for all that is asked. Raises UserError where they cannot be read."""
    params = asked.params
    sample = _sample(params)
    first = sample.prompts[:MOST_TRIED]
    lines_of(first, params.transform, params.seed)  # raises where one cannot be made
    return _Look(
        roles=sample.roles,
        untouched=note_on_untouched(sample.prompts, params.transform, params.seed),
        knows_words=sample.reading.toxic_words is not None,
    )


def _usable(prompts: Sequence[Prompt], params: PromptsParams) -> tuple[list[Prompt], list[Dropped]]:
    """Prompts that are short enough and whose source is met for the first time, and the others.

    Raises UserError where an answer of a pair is wanted, and no prompt comes from one.
    """
    kept: dict[str, Prompt] = {}
    prompts, dropped = _answered(prompts, params)
    max_words = params.max_words
    for prompt in prompts:
        num_words = sum(len(segment.text.split()) for segment in prompt.segments)
        if max_words is not None and num_words > max_words:
            dropped.append(Dropped(row=prompt.row, reason=f"more than {max_words} words"))
        elif prompt.source in kept:
            dropped.append(Dropped(row=prompt.row, reason="its prompt stands there twice"))
        else:
            kept[prompt.source] = prompt
    return list(kept.values()), dropped


def _answered(
    prompts: Sequence[Prompt], params: PromptsParams
) -> tuple[list[Prompt], list[Dropped]]:
    """Prompts with the answer that the params want, and those that have none."""
    side = params.answer
    if side is None:
        return list(prompts), []
    answered = [(prompt, prompt.with_answer(side)) for prompt in prompts]
    kept = [prompt for _, prompt in answered if prompt is not None]
    if not kept:
        raise UserError(
            f"answer: {side} needs prompts that come from pairs, and none of format "
            f"{params.format!r} does here",
            where="answer",
            allowed=formats_of_pairs(),
        )
    reason = f"it comes from no pair, so that there is no {side} answer"
    return kept, [Dropped(row=was.row, reason=reason) for was, now in answered if now is None]


def _check_positions(roles: Set[str], params: PromptsParams) -> None:
    """Refuse positions that prompts of these roles have no token at, and no prompts at all."""
    where = f"format {params.format}"
    if not roles:
        raise UserError("no prompt is left", where=where, hint="raise max_words")
    of_answers = [name for name in params.positions if name.startswith("response")]
    if of_answers and not roles & {"response", "assistant"}:
        raise UserError(
            f"position {of_answers[0]!r} needs answers, and these prompts have none",
            where=where,
            hint="leave it out of `positions`",
        )
    if "turn" in params.positions and "user" not in roles:
        raise UserError(
            "position 'turn' needs dialogues, and these prompts are none",
            where=where,
            hint="leave it out of `positions`",
        )
