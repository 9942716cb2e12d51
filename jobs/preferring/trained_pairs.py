"""The pairs that went into a model: what it, and every model before it, was trained on.

Read off the requests (`job.json`) of the jobs behind it. A pair of which the prompt, or prompt and
answer together, stand among these counts as seen, whatever set it is offered in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow.parquet as parquet

from jobs.artifacts.artifact import Artifact
from jobs.artifacts.request import Request, readable_request
from jobs.kind import KINDS
from jobs.provenance import Data, Model
from jobs.text.pair_artifact import PAIRS
from jobs.text.split import Split
from jobs.training.objective import OBJECTIVES

_COLUMNS = ("prompt", "chosen", "rejected", "split")
_THRESHOLDS = ("margin-", "kl-")
"""Beginnings of the labels of snapshots whose step validation pairs decide."""


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """One run of training on pairs that is behind a model."""

    pairs: Artifact
    """Its pairs."""
    chose_by_validation: bool
    """True when early stopping chose its weights by the validation pairs."""

    @property
    def splits(self) -> frozenset[str]:
        """The parts of its pairs that went into the model."""
        used = {Split.TRAIN} | ({Split.VALIDATION} if self.chose_by_validation else set())
        return frozenset(split.value for split in used)


@dataclass(frozen=True, kw_only=True)
class TrainingHistory:
    """What is known of the pairs behind a model."""

    runs: Sequence[TrainingRun]
    """Every run of training on pairs, its own and those of the models that it was made from."""
    is_known: bool
    """False for a model that was aligned elsewhere: nobody here knows on what."""
    threshold: str | None = None
    """Label of a snapshot whose step validation pairs decided; None for any other model."""


def training_history(model: Artifact) -> TrainingHistory:
    """Find the runs of training behind a model, each job once."""
    runs: dict[tuple[str, bool], TrainingRun] = {}
    is_untrained, threshold = False, None
    waiting, visited = [model], set()
    while waiting:
        made = waiting.pop()
        request = readable_request(made.storage, f"{made.folder}/job.json")
        if made.key in visited or request is None:
            continue
        visited.add(made.key)
        trains = _trains(request)
        is_untrained |= not trains
        threshold = next(filter(_is_threshold, request["params"].values()), threshold)
        for upstream in _read_by(made, request):
            kind = KINDS.get(upstream.kind)
            leaves = None if kind is None else kind.LEAVES
            if isinstance(leaves, Model):
                waiting.append(upstream)
            elif isinstance(leaves, Data) and trains:
                stopping = request["params"].get("early_stopping") is not None
                run = TrainingRun(pairs=upstream, chose_by_validation=stopping)
                runs[upstream.key, stopping] = run
    return TrainingHistory(
        runs=[*runs.values()], is_known=bool(runs) or is_untrained, threshold=threshold
    )


def texts_seen(runs: Iterable[TrainingRun]) -> frozenset[str]:
    """Return prompts, and prompts with each answer, that went in; white space counts as one."""
    return frozenset(text for run in runs for text in _texts_of(run))


def _read_by(model: Artifact, request: Request) -> Iterator[Artifact]:
    for references in request["inputs"].values():
        for each in references:
            yield Artifact(model.storage, each["kind"], each["key"])


def _is_threshold(value: object) -> bool:
    return isinstance(value, str) and value.startswith(_THRESHOLDS)


def _trains(request: Request) -> bool:
    objective = OBJECTIVES.get(str(request["params"].get("objective")))
    return objective is None or objective.TRAINS


def is_seen(texts: frozenset[str], prompt: str, chosen: str, rejected: str) -> bool:
    """Tell whether a pair stands among texts that went into a model."""
    return not texts.isdisjoint(_marks(prompt, chosen, rejected))


def _texts_of(run: TrainingRun) -> Iterator[str]:
    table = parquet.read_table(run.pairs.path(PAIRS), columns=[*_COLUMNS])
    columns = (table[name].to_pylist() for name in _COLUMNS)
    for prompt, chosen, rejected, split in zip(*columns, strict=True):
        if split in run.splits:
            yield from _marks(prompt, chosen, rejected)


def _marks(prompt: str, chosen: str, rejected: str) -> Iterator[str]:
    """Yield the texts that tell a pair; a prompt without words tells none."""
    for kind, text in (("prompt", prompt), ("text", prompt + chosen), ("text", prompt + rejected)):
        words = " ".join(text.split())
        if words:
            yield f"{kind} {words}"
