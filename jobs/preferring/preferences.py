"""Kind `preferences`: both models read the pairs and each other's words; the values are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from torch import Tensor

from jobs.behaviour.decoding import end_tokens, until_end
from jobs.extraction.paired_inputs import settings_facts
from jobs.models.language_model import LanguageModel
from jobs.predicting.divergence import measure_divergences, read_final_rows
from jobs.predicting.head import Head
from jobs.predicting.output_tokens import OutputTokens
from jobs.preferring.paired_tokens import HeldOutPairs, hold_out
from jobs.preferring.preference_measurements import (
    Divergences,
    Evidence,
    PairScores,
    measure_preferences,
)
from jobs.preferring.preferences_params import Params
from jobs.preferring.sampling import Samples, drawn_for, sample
from jobs.preferring.sequences import TokenScores, score_answers
from jobs.taps.pair_loading import PairLoading
from jobs.training.completion_log_probabilities import both_completions
from jobs.worker.measured_rows import write_measurements
from jobs.worker.out_of_memory import in_halves
from jobs.worker.work import Work

_MOST_FOR_FLOOR = 64
"""Pairs and continuations that the base reads a second time, for the noise floor."""


@dataclass(kw_only=True, eq=False)
class _Reading:
    """What one model says of the pairs, and what is kept of it to hold against the other."""

    scores: PairScores | None = None
    """Log-probability of every token of both sides."""
    chosen_words: Sequence[int] = ()
    """Tokens of each chosen side before one that ends a text."""
    samples: Samples | None = None
    """Its own continuations of the prompts."""
    sample_scores: TokenScores = ()
    """Log-probability of every token of those."""
    outputs: OutputTokens | None = None
    """Outputs at which both models' next-token distributions are compared."""
    rows: Tensor | None = None
    """Rows [outputs, d] after the last block at each."""
    again: PairScores | None = None
    """Scores of the first pairs, in other batches."""
    rows_again: Tensor | None = None
    """Rows of the first outputs, in other batches."""


def measure_training(work: Work[Params]) -> dict[str, object]:
    """Measure the metrics of the params and write the results; return the record's facts."""
    held_out = hold_out(work)
    evidence = _read(work, held_out)
    measurements = list(measure_preferences(held_out, evidence, work.params))
    return {
        "rows": write_measurements(work.folder, measurements, held_out.model),
        **held_out.facts,
        **settings_facts(work.input("base"), work.input("aligned")),
    }


def _read(work: Work[Params], held_out: HeldOutPairs) -> Evidence:
    loading = PairLoading(work)
    resident = loading.load_with_adapter() if loading.has_adapter else None
    # The aligned model comes first: it writes the continuations that both read.
    model: LanguageModel = resident[1] if resident else loading.load("aligned")
    aligned = _Reader(work, held_out, model, "aligned").read_aligned()
    head = Head(model) if resident else Head.remaining_from(model)
    model = resident[0] if resident else loading.load("base")
    base = _Reader(work, held_out, model, "base").read_base(aligned.outputs)
    return Evidence(
        aligned=aligned.scores,
        base=base.scores,
        base_again=base.again,
        chosen_words=base.chosen_words,
        samples=base.samples,
        sample_scores=base.sample_scores,
        divergences=_diverge(work, (head, aligned), (Head(model), base)),
    )


def _diverge(
    work: Work[Params], aligned: tuple[Head, _Reading], base: tuple[Head, _Reading]
) -> Divergences | None:
    outputs, rows, base_rows = aligned[1].outputs, aligned[1].rows, base[1].rows
    if outputs is None or rows is None or base_rows is None:
        return None
    nats = measure_divergences(
        (aligned[0], rows),
        (base[0], base_rows),
        lambda done: work.progress(done / len(rows), "comparing continuations"),
    )
    again = base[1].rows_again
    noise = None
    if again is not None and len(again):
        noise = measure_divergences((base[0], again), (base[0], base_rows[: len(again)]))
    return Divergences(outputs=outputs, nats=nats, noise=noise)


class _Reader:
    """Reads one model."""

    def __init__(
        self, work: Work[Params], held_out: HeldOutPairs, model: LanguageModel, name: str
    ) -> None:
        self._work, self._held_out = work, held_out
        self._model, self._name = model, name
        self._params = work.params

    def read_aligned(self) -> _Reading:
        """Score the pairs; continue the prompts and read what was said."""
        reading = _Reading()
        if self._params.scores_pairs:
            reading.scores = self._score_pairs()
        if "kl_per_token" in self._params.metrics:
            samples = self._sample()
            if len(samples.places):
                reading.outputs = samples.outputs(self._held_out.groups)
                reading.rows = self._rows(reading.outputs, self._params.token_budget)
        return reading

    def read_base(self, outputs: OutputTokens | None) -> _Reading:
        """Score the pairs, some of them twice; read what the aligned model said; say its own."""
        reading, params = _Reading(outputs=outputs), self._params
        if params.scores_pairs or {"base_margin", "on_policy_chosen"} & {*params.metrics}:
            reading.scores = self._score_pairs()
        if params.scores_pairs:
            reading.again = self._score_pairs(_MOST_FOR_FLOOR)
        if outputs is not None:
            reading.rows = self._rows(outputs, params.token_budget)
            first = _first_texts(outputs, _MOST_FOR_FLOOR)
            reading.rows_again = self._rows(first, _other_budget(first.plan.lengths, params))
        if "on_policy_chosen" in params.metrics:
            model = self._model
            ends = end_tokens((model.config, getattr(model, "generation_config", None)))
            reading.chosen_words = [
                len(until_end(pair.chosen_ids, ends)) for pair in self._held_out.pairs
            ]
            samples = reading.samples = self._sample()
            sequences = [*zip(samples.prompts, samples.answers, strict=True)]
            if sequences:
                reading.sample_scores = score_answers(
                    self._model,
                    sequences,
                    token_budget=params.token_budget,
                    after_batch=self._report("reading its own words", len(sequences)),
                )
        return reading

    def _score_pairs(self, most: int | None = None) -> PairScores:
        pairs = self._held_out.pairs[:most]
        sequences = both_completions(pairs)
        budget = self._params.token_budget
        if most is not None:
            lengths = np.array([len(prompt) + len(answer) for prompt, answer in sequences])
            budget = _other_budget(lengths, self._params)
        scores = score_answers(
            self._model,
            sequences,
            token_budget=budget,
            after_batch=self._report("reading pairs", len(sequences)),
        )
        return PairScores(chosen=scores[: len(pairs)], rejected=scores[len(pairs) :])

    def _sample(self) -> Samples:
        params, held_out = self._params, self._held_out
        ids = [pair.pair for pair in held_out.pairs]
        return sample(
            self._model,
            [pair.prompt_ids for pair in held_out.pairs],
            drawn_for(ids, params.new_tokens, params.seed),
            vocab_size=held_out.vocab_size,
            num_positions=held_out.num_positions,
            token_budget=params.token_budget,
            after_batch=self._report("continuing prompts", len(ids)),
        )

    def _rows(self, outputs: OutputTokens, token_budget: int) -> Tensor:
        rows, _ = in_halves(
            token_budget,
            1,
            lambda budget: read_final_rows(
                Head(self._model),
                outputs,
                token_budget=budget,
                after_batch=self._report("reading continuations", len(outputs.plan.prompts)),
            ),
        )
        return rows

    def _report(self, doing: str, total: int) -> Callable[[int], None]:
        return lambda done: self._work.progress(done / total, f"{self._name}: {doing}")


def _first_texts(outputs: OutputTokens, most: int) -> OutputTokens:
    """Return the outputs of the first texts; their rows are the first rows of all."""
    plan = outputs.plan
    count = min(most, len(plan.prompts))
    end = int(plan.offsets[count])
    arrays = plan.to_arrays()
    per_text = ("prompts", "groups", "final_segments")
    per_token = ("token_ids", "roles", "segments")
    kept = {name: arrays[name][:count] for name in per_text}
    kept |= {name: arrays[name][:end] for name in per_token}
    kept["offsets"] = plan.offsets[: count + 1]
    inside = outputs.after < end
    return OutputTokens(
        plan=type(plan).from_arrays(kept),
        after=outputs.after[inside],
        numbers=outputs.numbers[inside],
        num_generated=count,
    )


def _other_budget(lengths: Int64[np.ndarray, " texts"], params: Params) -> int:
    """Return a budget that cuts texts into batches of another composition: of a third of them."""
    return int(min(params.token_budget, max(lengths.max(), lengths.sum() // 3)))
