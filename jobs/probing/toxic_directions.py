"""From a model and pairs to its toxic directions: read, fit, judge, rank, write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Int64

from analysis.estimates.evaluation import with_estimate
from analysis.measurement import Measurement
from cluster.errors import UserError
from jobs.models.device import pick_device
from jobs.models.family import Missing
from jobs.models.loading import load_model, load_tokenizer
from jobs.models.model_facts import compute_dtype
from jobs.probing.directions_file import write
from jobs.probing.labelled_texts import LabelledText, prompt_lines, read_labelled_texts
from jobs.probing.linear_probe import Judgement, LinearProbe, judge_scores
from jobs.probing.mean_residuals import mean_residuals
from jobs.probing.toxic_value_vectors import (
    SharedDirections,
    ToxicValueVectors,
    find_shared_directions,
    rank_value_vectors,
)
from jobs.probing.vocabulary import read_out
from jobs.store.checkpoint import Checkpoint
from jobs.taps.taps import Place, taps_of
from jobs.tokens.plan import build_token_plan
from jobs.worker.measured_rows import write_measurements
from jobs.worker.work import Stopped, Work

if TYPE_CHECKING:
    from jobs.probing.probe_direction_params import Params

SITE = "resid_post"
_VECTORS_READ_OUT = 16
_TOKENS_READ_OUT = 10
_DEFINITION = (
    "v1: {what} of a logistic regression (L2, C = {inverse_penalty:g}) on the mean residual of the "
    "last block over the tokens of the {averaged}, on held-out prompts; toxic: rejected sides; "
    "delete-group jackknife"
)
_WHAT = {
    "auc": "area under the ROC curve",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "majority": "accuracy of the commoner class, beside that",
}


def find_directions(work: Work) -> dict[str, Any]:
    """Find and write them; returns the record's facts.

    Raises UserError where the model has no residual stream, or a class is missing.
    """
    params: Params = work.params
    labelling = read_labelled_texts(
        work.input("pairs").path("pairs.parquet"),
        held_out=params.held_out,
        most=params.max_texts,
        seed=params.seed,
    )
    source = work.input("model")
    checkpoint = Checkpoint(source.directory("model"), source.folder)
    reader = _Reader(work, checkpoint)
    rows, texts, too_long = reader.rows(labelling.texts)
    kept = [labelling.texts[number] for number in texts]
    probe, judgement = _fitted(rows, kept, params)
    found = rank_value_vectors(
        probe.direction, checkpoint.shape.num_layers, checkpoint.value_vectors, params.num_vectors
    )
    shared = find_shared_directions(found, probe.direction, params.num_svd)
    facts = {
        "site": SITE,
        "layer": reader.place[1],
        "num_texts": len(kept),
        "num_held_out": sum(text.held_out for text in kept),
        "num_too_long": too_long,
        "num_without_tokens": len(labelling.texts) - too_long - len(kept),
        "num_dropped": dict(labelling.dropped),
        "converged": probe.converged,
        **{name: estimate["value"] for name, estimate in asdict(judgement).items()},
    }
    write(work.folder, probe, found, shared, facts | reader.words(probe, found, shared))
    _write_measurements(work, judgement, kept)
    return {"model": dict(source.facts["model"]), "probe": facts}


class _Reader:
    """The part that needs the model in memory."""

    def __init__(self, work: Work, checkpoint: Checkpoint) -> None:
        params: Params = work.params
        source = work.input("model")
        folder = source.directory("model")
        self.place: Place = (SITE, checkpoint.shape.num_layers - 1)
        self._work = work
        self._tokenizer = load_tokenizer(folder)
        limit = checkpoint.shape.max_positions
        self._max_length = min(limit, params.max_length or limit)
        work.progress(None, "loading the model")
        self._model = load_model(
            folder,
            dtype=compute_dtype(params.dtype, source.facts["model"]["num_parameters"]),
            device=pick_device(params.num_gpus),
            attention=params.attention,
        )
        site = taps_of(self._model)[SITE]
        if isinstance(site, Missing):
            raise UserError(f"there is no {SITE}: {site.reason}", where=source.folder)

    def rows(
        self, texts: Sequence[LabelledText]
    ) -> tuple[Float32[np.ndarray, "rows d"], Int64[np.ndarray, " rows"], int]:
        """A row per text that has one, which texts those are, and how many were too long."""
        params: Params = self._work.params
        plan, too_long = build_token_plan(prompt_lines(texts), self._tokenizer, self._max_length)

        def after_batch(done: int) -> None:
            if self._work.stop_requested:
                raise Stopped
            self._work.progress(done / len(plan.prompts), f"{done} of {len(plan.prompts)} texts")

        rows, numbers = mean_residuals(
            self._model,
            plan,
            self.place,
            params.averaged,
            token_budget=params.token_budget,
            after_batch=after_batch,
        )
        return rows, numbers, len(too_long)

    def words(
        self, probe: LinearProbe, found: ToxicValueVectors, shared: SharedDirections
    ) -> dict[str, Any]:
        """Tokens that the directions and the first value vectors write."""
        vectors = found.vectors[:_VECTORS_READ_OUT]
        stacked = np.concatenate([probe.direction[None], shared.directions, vectors])
        tokens = read_out(self._model, self._tokenizer, stacked, _TOKENS_READ_OUT)
        first = 1 + len(shared.directions)
        named = zip(found.layers.tolist(), found.neurons.tolist(), tokens[first:], strict=False)
        return {
            "probe_tokens": tokens[0],
            "svd_tokens": tokens[1:first],
            "vector_tokens": [
                {"layer": layer, "neuron": neuron, "tokens": each} for layer, neuron, each in named
            ],
        }


def _fitted(
    rows: Float32[np.ndarray, "rows d"], texts: Sequence[LabelledText], params: Params
) -> tuple[LinearProbe, Judgement]:
    toxic = np.array([text.toxic for text in texts])
    held_out = np.array([text.held_out for text in texts])
    groups = np.array([text.group for text in texts])
    if not np.isfinite(rows).all():
        raise UserError("residuals of the last block hold NaN or infinity", where="model")
    for part in (held_out, ~held_out):
        if len(np.unique(toxic[part])) < 2:
            raise UserError(
                "a class has no text left whose tokens can be averaged",
                where="pairs",
                hint="texts of one token have none: average over `text`",
            )
    probe = LinearProbe.fit(rows[~held_out], toxic[~held_out], params.inverse_penalty)
    if not probe.direction.any():
        raise UserError("all texts leave the same residuals: there is no direction", where="pairs")
    return probe, judge_scores(probe.scores(rows[held_out]), toxic[held_out], groups[held_out])


def _write_measurements(work: Work, judgement: Judgement, texts: Sequence[LabelledText]) -> None:
    model = work.input("model").facts["model"]
    groups = np.array([text.group for text in texts if text.held_out])
    write_measurements(work.folder, _measurements(work.params, judgement, groups), model)


def _measurements(
    params: Params, judgement: Judgement, groups: Int64[np.ndarray, " rows"]
) -> Iterator[Measurement]:
    for name, what in _WHAT.items():
        definition = _DEFINITION.format(
            what=what, inverse_penalty=params.inverse_penalty, averaged=params.averaged
        )
        blank = Measurement(
            metric=f"probe_{name}", definition=definition, site=SITE, position="mean"
        )
        yield with_estimate(blank, getattr(judgement, name), groups)
