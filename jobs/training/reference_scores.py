"""What a reference gives every pair: computed chunk by chunk, written, and read by `align`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
from transformers import PreTrainedModel

from cluster.errors import UserError
from jobs.artifacts.artifact import Artifact
from jobs.models.device import place_of
from jobs.models.family import family_of_config
from jobs.models.loading import load_model, load_tokenizer
from jobs.models.opened_model import model_folder
from jobs.training.align_params import Params as AlignParams
from jobs.training.chat_pairs import template_digest, template_for
from jobs.training.completion_log_probabilities import both_completions, sum_log_probabilities
from jobs.training.objective import ScoredPairs
from jobs.training.reference_agreement import require_agreement
from jobs.training.reference_params import Params
from jobs.training.tokenized_pairs import (
    TokenizedPair,
    dropped_facts,
    length_limit,
    read_pair_tokens,
    tokens_digest,
)
from jobs.worker.chunks import Arrays, Chunks, cut
from jobs.worker.out_of_memory import in_halves
from jobs.worker.work import Stopped, Work

CHUNK = 256
"""Sequences of a chunk: seconds of a large model on a GPU, minutes of GPT-2 Medium on two cores."""


def score_reference(work: Work[Params]) -> dict[str, object]:
    """Score the pairs, write `reference.parquet`, and return the record's facts."""
    params = work.params
    work.progress(None, "loading")
    folder = model_folder(work.input("model"))
    place = place_of(folder, params.num_gpus or 0)
    model = load_model(folder, dtype="float32", device=place, attention=params.attention)
    shape = family_of_config(model.config).shape(model.config)
    max_length = length_limit(shape.max_positions, params.max_length)
    path = work.input("pairs").path("pairs.parquet")
    tokenizer = load_tokenizer(folder)
    template = template_for(params.template, tokenizer, work.input("model"))
    tokens = read_pair_tokens(
        path,
        tokenizer,
        max_length,
        template,
        max_dropped=params.max_dropped,
        end_of_text=params.end_of_text,
        num_rows=shape.vocab_size,
    )
    pairs = tokens.pairs
    digest = tokens_digest(pairs)

    def after_batch(done: int) -> None:
        if work.stop_requested:
            raise Stopped
        work.progress(done / (2 * len(pairs)), f"{done // 2} of {len(pairs)} pairs")

    chunks = Chunks(work.attempt, f"{digest} {CHUNK}")
    scored, batch_size = scored_in_chunks(
        model,
        pairs,
        chunks,
        batch_size=params.micro_batch or 16,
        dtype=params.dtype,
        after_batch=after_batch,
    )
    columns = {
        "pair": pyarrow.array([pair.pair for pair in pairs], pyarrow.int64()),
        "ref_chosen_logps": pyarrow.array(scored.chosen, pyarrow.float64()),
        "ref_rejected_logps": pyarrow.array(scored.rejected, pyarrow.float64()),
    }
    parquet.write_table(pyarrow.table(columns), work.folder / "reference.parquet")
    return {
        "num_pairs": len(pairs),
        "num_truncated": sum(pair.truncated for pair in pairs),
        "max_length": max_length,
        "tokens_digest": digest,
        "template": params.template,
        "template_digest": template_digest(template),
        "end_of_text": params.end_of_text,
        "dtype": params.dtype,
        "attention": params.attention,
        "weights": work.input("model").key,
        "micro_batch": batch_size,
        "chunks_taken_over": chunks.num_taken_over,
        **dropped_facts(tokens),
    }


def scored_in_chunks(
    model: PreTrainedModel,
    pairs: Sequence[TokenizedPair],
    chunks: Chunks,
    *,
    batch_size: int,
    dtype: str,
    after_batch: Callable[[int], None],
) -> tuple[ScoredPairs, int]:
    """Score both completions of every pair, see `sum_log_probabilities`; return the batch size too.

    Chunks are cut from all sequences sorted by length, the longest first: memory runs out at the
    start or not at all, and a continued run has the bits of an undisturbed one. Where memory runs
    out, batches are halved.
    """
    sequences = both_completions(pairs)
    order = sorted(range(len(sequences)), key=lambda i: (-sum(map(len, sequences[i])), i))
    sums = np.zeros(len(sequences))

    def compute(number: int, members: Sequence[int]) -> Arrays:
        nonlocal batch_size
        scores, batch_size = in_halves(
            batch_size,
            1,
            lambda size: sum_log_probabilities(
                model,
                [sequences[i] for i in members],
                batch_size=size,
                dtype=dtype,
                after_batch=lambda done: after_batch(number * CHUNK + done),
            ),
        )
        return {"sums": scores}

    for number, members in enumerate(cut(order, CHUNK)):
        sums[members] = chunks.get(number, partial(compute, number, members))["sums"]
    scored = ScoredPairs(pairs=pairs, chosen=sums[: len(pairs)], rejected=sums[len(pairs) :])
    return scored, batch_size


def read_reference(
    reference: Artifact, params: AlignParams, pairs: Sequence[TokenizedPair], digest: str
) -> ScoredPairs:
    """Read the sums that a reference gave the pairs.

    Args:
        reference: an artifact of kind `reference`.
        params: of the job that reads it.
        pairs: that this job uses.
        digest: `tokens_digest` of all pairs that it sees, those without a preference included.

    Raises:
        UserError: the reference scored other tokens, or was computed in another way.
    """
    require_agreement(params, reference.facts)
    _require_same_tokens(reference.facts, params, digest)
    columns = parquet.read_table(reference.path("reference.parquet")).to_pydict()
    places = {pair: place for place, pair in enumerate(columns["pair"])}
    rows = [places[pair.pair] for pair in pairs]
    return ScoredPairs(
        pairs=pairs,
        chosen=np.array(columns["ref_chosen_logps"])[rows],
        rejected=np.array(columns["ref_rejected_logps"])[rows],
    )


def _require_same_tokens(facts: Mapping[str, object], params: AlignParams, digest: str) -> None:
    if facts["tokens_digest"] != digest:
        raise UserError(
            "the reference saw other tokens than this job does",
            where="input reference",
            hint="both need the same tokenizer, pairs and max_length "
            f"(here {params.max_length}, there {facts['max_length']})",
        )
