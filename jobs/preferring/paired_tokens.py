"""`HeldOutPairs`: the pairs that count, as the tokens that both models see, with their groups."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from jaxtyping import Int64

from cluster.errors import UserError
from jobs.artifacts.artifact import Artifact
from jobs.extraction.paired_inputs import (
    find_chat_template,
    require_common_model,
    require_shared_ids,
)
from jobs.models.family import family_of_config
from jobs.models.folder import read_config
from jobs.models.loading import load_tokenizer
from jobs.models.model_facts import ModelFacts
from jobs.preferring.planned_pairs import none_held_out
from jobs.preferring.preferences_params import Params
from jobs.preferring.trained_pairs import (
    TrainingHistory,
    TrainingRun,
    is_seen,
    texts_seen,
    training_history,
)
from jobs.text.pair_artifact import PAIRS
from jobs.text.prompt_lines import PromptLine, plain_line
from jobs.training.chat_pairs import PairRow
from jobs.training.tokenized_pairs import (
    TokenizedPair,
    dropped_facts,
    length_limit,
    tokenize_pairs,
)
from jobs.worker.work import Work


class _Row(PairRow):
    """One row of `pairs.parquet`, with its group."""

    group: int
    """Group of the prompt, 0 to 19."""


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOutPairs:
    """Pairs that no model at hand was trained on."""

    model: ModelFacts
    """Facts of the base."""
    pairs: Sequence[TokenizedPair]
    """The pairs, whose sides differ as tokens."""
    groups: Int64[np.ndarray, " pairs"]
    """Group of each pair, 0 to 19: of its prompt, by the hash that groups prompts as well."""
    prompts: Int64[np.ndarray, " pairs"]
    """Number of each pair's prompt: equal where prompts are."""
    num_positions: int
    """Positions that both models have."""
    vocab_size: int
    """Tokens that both models have a row for."""
    is_foreign: bool
    """True when none of the models was trained on this set."""
    facts: dict[str, object]
    """For the record: how many count, how many were seen in training, cut or left out."""
    remarks: Sequence[str]
    """What a reader of any value must know."""


def hold_out(work: Work[Params]) -> HeldOutPairs:
    """Choose and tokenise the pairs of a job.

    Raises:
        UserError: none is held out, the models or their tokenizers do not fit, or too many pairs
            cannot be used.
    """
    params = work.params
    base, aligned, pairs = (work.input(name) for name in ("base", "aligned", "pairs"))
    model = require_common_model(base, aligned)
    known = training_history(aligned)
    runs = _runs_behind(base, aligned, known, pairs)
    rows = _read_rows(pairs.path(PAIRS))
    offered = [row for row in rows if row["split"] in params.splits]
    seen = texts_seen(runs)
    unseen = [
        row for row in offered if not is_seen(seen, row["prompt"], row["chosen"], row["rejected"])
    ]
    is_foreign = pairs.key not in {run.pairs.key for run in runs}
    if not unseen:
        raise none_held_out(len(rows), len(offered), params.splits, where=str(pairs.folder))
    counted = sampled(unseen, params.max_pairs, params.seed)
    shapes = [_shape(folder) for folder in (base.directory("model"), aligned.directory("model"))]
    num_positions = min(positions for positions, _ in shapes)
    vocab_size = min(size for _, size in shapes)
    template = find_chat_template(base, aligned) if params.template == "chat" else None
    require_shared_ids(
        base, aligned, lambda: list(_lines(counted)), is_templated=template is not None
    )
    tokens = tokenize_pairs(
        counted,
        load_tokenizer((base if template is None else aligned).directory("model")),
        length_limit(num_positions, params.max_length),
        template,
        end_of_text=params.end_of_text,
        num_rows=vocab_size,
    )
    tokens.check_share(params.max_dropped)
    by_id = {row["pair"]: row for row in counted}
    kept = [pair for pair in tokens.different if pair.chosen_ids != pair.rejected_ids]
    num_equal = len(tokens.different) - len(kept)
    if not kept:
        raise UserError("both sides of every pair are equal", where=str(pairs.folder))
    numbers = {prompt: number for number, prompt in enumerate({r["prompt"]: 0 for r in counted})}
    num_cut = sum(pair.truncated for pair in kept)
    return HeldOutPairs(
        model=model,
        pairs=kept,
        groups=np.array([by_id[pair.pair]["group"] for pair in kept], dtype=np.int64),
        prompts=np.array([numbers[by_id[pair.pair]["prompt"]] for pair in kept], dtype=np.int64),
        num_positions=num_positions,
        vocab_size=vocab_size,
        is_foreign=is_foreign,
        facts={
            "num_pairs": len(kept),
            "num_prompts": len({by_id[pair.pair]["prompt"] for pair in kept}),
            "num_seen": len(offered) - len(unseen),
            "num_not_sampled": len(unseen) - len(counted),
            "num_truncated": num_cut,
            "is_foreign": is_foreign,
            **({"num_equal": num_equal} if num_equal else {}),
            **dropped_facts(tokens),
        },
        remarks=_remarks(known, len(kept), num_cut, is_foreign=is_foreign),
    )


def _runs_behind(
    base: Artifact, aligned: Artifact, known: TrainingHistory, pairs: Artifact
) -> list[TrainingRun]:
    """Return the runs of training behind both models, as far as requests and records say."""
    runs = [*known.runs, *training_history(base).runs]
    if pairs.key in aligned.record.inputs and not any(run.pairs.key == pairs.key for run in runs):
        # Its request is gone; what it read stands in its record all the same.
        stopped = bool(aligned.facts.get("training", {}).get("early_stopping"))
        runs.append(TrainingRun(pairs=pairs, chose_by_validation=stopped))
    return runs


def _read_rows(path: Path) -> list[_Row]:
    columns = ("pair", "prompt", "chosen", "rejected", "turns", "split", "group")
    have = parquet.read_schema(path).names
    rows: list[_Row] = parquet.read_table(
        path, columns=[name for name in columns if name in have]
    ).to_pylist()
    return rows


def _remarks(
    known: TrainingHistory, num_pairs: int, num_cut: int, *, is_foreign: bool
) -> Sequence[str]:
    remarks = [f"{num_cut} of {num_pairs} pairs are cut to max_length"] if num_cut else []
    if known.threshold is not None and not is_foreign:
        remarks.append(f"the step of {known.threshold} was chosen by some of the validation pairs")
    if not known.is_known and is_foreign:
        remarks.append("what the aligned model was trained on is not known here")
    return remarks


def sampled(rows: list[_Row], most: int | None, seed: int) -> list[_Row]:
    """Draw a seeded sample in the rows' order; all where there are no more than `most`."""
    if most is None or len(rows) <= most:
        return rows
    places = random.Random(f"preferences/{seed}").sample(range(len(rows)), most)
    return [rows[place] for place in sorted(places)]


def _shape(folder: Path) -> tuple[int, int]:
    """Return positions and rows of the embedding of a checkpoint."""
    config = read_config(folder)
    shape = family_of_config(config).shape(config)
    return shape.max_positions, shape.vocab_size


def _lines(rows: Iterable[PairRow]) -> Iterable[PromptLine]:
    """Yield both sides of pairs as lines of prompts."""
    for row in rows:
        for side in (row["chosen"], row["rejected"]):
            yield plain_line(row["pair"], 0, row["prompt"], side)
