"""The toxic directions of a model, from pairs: read texts, fit a probe, evaluate, rank, write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64

from analysis.estimates.evaluation import with_estimate
from analysis.measurement import Measurement
from cluster.errors import UserError
from jobs.models.family import Missing
from jobs.models.loading import load_tokenizer
from jobs.models.opened_model import model_folder
from jobs.models.unembedding import unembedding_of
from jobs.probing.directions_file import write_directions
from jobs.probing.labelled_texts import (
    LabelledText,
    Labelling,
    read_judged_texts,
    read_labelled_texts,
)
from jobs.probing.linear_probe import Judgement, LinearProbe, judge_scores
from jobs.probing.mean_residuals import mean_residuals
from jobs.probing.probe_direction_params import Params
from jobs.probing.promoted_words import AXIS, Named, measure_promoted
from jobs.probing.released_probe import read_probe
from jobs.probing.toxic_value_vectors import (
    SharedDirections,
    ToxicValueVectors,
    find_shared_directions,
    rank_value_vectors,
)
from jobs.store.checkpoint import Checkpoint
from jobs.taps.pair_loading import load_input_model
from jobs.taps.taps import Place, taps_of
from jobs.text.labelled_artifact import LABELLED
from jobs.text.prompt_lines import plain_line
from jobs.text.reading_report import TOXIC_WORDS, read_toxic_words
from jobs.tokens.plan import build_token_plan
from jobs.worker.measured_rows import write_measurements
from jobs.worker.work import Stopped, Work

SITE = "resid_post"
"""Site of the last block that the probe reads."""
_MOST_VECTORS_READ_OUT = 16
_NUM_TOKENS_READ_OUT = 10
_NUM_SVD_READ_OUT = 3
_DEFINITION = (
    "v2: {what} of {fit} on the mean residual of the "
    "last block over the tokens of the {averaged}, on held-out prompts; toxic: {labels}; "
    "delete-group jackknife, of 0 and 1 the exact binomial interval of the smaller class"
)
_FITTED = "a logistic regression (L2, C = {inverse_penalty:g})"
_RELEASED = "released weights, their threshold alone fitted here,"
_LABELS = {"pairs": "rejected sides", "texts": "labelled so by people"}
_WHAT = {
    "auc": "area under the ROC curve",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "majority": "accuracy of the commoner class, beside that",
}


def find_directions(work: Work[Params]) -> dict[str, object]:
    """Find the toxic directions and write them; return the record's facts.

    Raises:
        UserError: the model has no residual stream, a class of texts is missing, or residuals do
            not separate the texts.
    """
    params = work.params
    labelling = _read_texts(work)
    source = work.input("model")
    checkpoint = Checkpoint(model_folder(source), source.folder)
    reader = _ModelReader(work, checkpoint)
    rows, numbers, num_too_long = reader.rows(labelling.texts)
    texts = [labelling.texts[number] for number in numbers]
    released = None if params.probe is None else read_probe(Path(params.probe), rows.shape[1])
    probe, judgement = _fit_probe(rows, texts, params, released)
    vectors = rank_value_vectors(
        probe.direction, checkpoint.shape.num_layers, checkpoint.value_vectors, params.num_vectors
    )
    shared = find_shared_directions(
        vectors, probe.direction, params.num_svd, normalised=params.normalised
    )
    facts = {
        "site": SITE,
        "layer": reader.place[1],
        "num_texts": len(texts),
        "num_held_out": sum(text.held_out for text in texts),
        "num_too_long": num_too_long,
        "num_without_tokens": len(labelling.texts) - num_too_long - len(texts),
        "num_dropped": dict(labelling.dropped),
        "converged": probe.converged,
        **{name: estimate["value"] for name, estimate in asdict(judgement).items()},
    }
    description = facts | reader.tokens_of(probe, vectors, shared)
    write_directions(work.folder, probe, vectors, shared, description)
    groups = np.array([text.group for text in texts if text.held_out])
    measurements = [*_measurements(params, judgement, groups)]
    if params.num_read_out:
        named = _named(description, vectors, shared, params.num_read_out)
        words = read_toxic_words(work.input(params.learned_from).path(TOXIC_WORDS))
        measurements += measure_promoted(named, reader.tokenizer, words)
    axes = (AXIS,) if params.num_read_out else ()
    write_measurements(work.folder, measurements, source.facts["model"], axes)
    return {"model": dict(source.facts["model"]), "probe": facts}


def _named(
    description: dict[str, Any],
    vectors: ToxicValueVectors,
    shared: SharedDirections,
    number: int,
) -> Iterator[Named]:
    """Yield the probe, its three first SVD directions and the most toxic value vectors."""
    yield Named(name="W_toxic", cosine=1.0, tokens=description["probe_tokens"])
    for place, tokens in enumerate(description["svd_tokens"][:_NUM_SVD_READ_OUT]):
        yield Named(name=f"svd-{place}", cosine=float(shared.cosines[place]), tokens=tokens)
    for vector, cosine in zip(description["vector_tokens"][:number], vectors.cosines, strict=False):
        yield Named(
            name=f"v{vector['layer']}.{vector['neuron']}",
            cosine=float(cosine),
            tokens=vector["tokens"],
        )


def _read_texts(work: Work[Params]) -> Labelling:
    params = work.params
    how: dict[str, Any] = {
        "held_out": params.held_out,
        "most": params.max_texts,
        "seed": params.seed,
    }
    if params.learned_from == "texts":
        return read_judged_texts(work.input("texts").path(LABELLED), **how)
    return read_labelled_texts(work.input("pairs").path("pairs.parquet"), **how)


class _ModelReader:
    """The model in memory: residuals of texts, and the tokens that directions promote."""

    def __init__(self, work: Work[Params], checkpoint: Checkpoint) -> None:
        params = work.params
        source = work.input("model")
        folder = source.directory("model")
        self.place: Place = (SITE, checkpoint.shape.num_layers - 1)
        self._work = work
        self._params = params
        self.tokenizer = load_tokenizer(folder)
        """Tokenizer of the model."""
        self._num_rows = checkpoint.shape.vocab_size
        limit = checkpoint.shape.max_positions
        self._max_length = min(limit, params.max_length or limit)
        work.progress(None, "loading the model")
        self._model = load_input_model(source, params)
        site = taps_of(self._model)[SITE]
        if isinstance(site, Missing):
            raise UserError(f"there is no {SITE}: {site.reason}", where=source.folder)

    def rows(
        self, texts: Sequence[LabelledText]
    ) -> tuple[Float32[np.ndarray, "rows d"], Int64[np.ndarray, " rows"], int]:
        """Read the mean residual of every text.

        Returns:
            A row per text that has tokens to average over, the numbers of those texts, and how
            many texts were too long.
        """
        lines = [
            plain_line(number, text.group, text.prompt, text.text)
            for number, text in enumerate(texts)
        ]
        plan, too_long = build_token_plan(
            lines, self.tokenizer, self._max_length, num_rows=self._num_rows
        )

        def after_batch(num_done: int) -> None:
            if self._work.stop_requested:
                raise Stopped
            total = len(plan.prompts)
            self._work.progress(num_done / total, f"{num_done} of {total} texts")

        rows, numbers = mean_residuals(
            self._model,
            plan,
            self.place,
            self._params.averaged,
            token_budget=self._params.token_budget,
            after_batch=after_batch,
        )
        return rows, numbers, len(too_long)

    def tokens_of(
        self, probe: LinearProbe, vectors: ToxicValueVectors, shared: SharedDirections
    ) -> dict[str, object]:
        """Read out the tokens that the directions and the first value vectors promote."""
        first_vectors = vectors.vectors[:_MOST_VECTORS_READ_OUT]
        directions = np.concatenate([probe.direction[None], shared.directions, first_vectors])
        tokens = self._read_out(directions)
        first = 1 + len(shared.directions)
        named = zip(vectors.layers.tolist(), vectors.neurons.tolist(), tokens[first:], strict=False)
        return {
            "probe_tokens": tokens[0],
            "svd_tokens": tokens[1:first],
            "vector_tokens": [
                {"layer": layer, "neuron": neuron, "tokens": promoted}
                for layer, neuron, promoted in named
            ],
        }

    def _read_out(self, directions: Float[np.ndarray, "k d"]) -> Sequence[Sequence[str]]:
        """Return, for each direction v, the tokens with the largest entries of E v.

        E is the unembedding, as vectors of the stream.
        """
        with torch.inference_mode():
            embedding = unembedding_of(self._model)
            columns = torch.from_numpy(np.ascontiguousarray(directions, dtype=np.float32))
            logits = embedding.float() @ columns.to(embedding.device).T
            # Embeddings are often padded to a round number of tokens.
            size = min(len(self.tokenizer), len(logits))
            top = logits[:size].topk(min(_NUM_TOKENS_READ_OUT, size), dim=0).indices.T.tolist()
        return [self.tokenizer.convert_ids_to_tokens(ids) for ids in top]


def _fit_probe(
    rows: Float32[np.ndarray, "rows d"],
    texts: Sequence[LabelledText],
    params: Params,
    released: Float64[np.ndarray, " d"] | None,
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
                hint="the first token of a text never counts: set averaged: text",
            )
    if released is None:
        probe = LinearProbe.fit(rows[~held_out], toxic[~held_out], params.inverse_penalty)
    else:
        probe = LinearProbe.released(released, rows[~held_out], toxic[~held_out])
    if not probe.direction.any():
        raise UserError("all texts have the same residuals: there is no direction", where="pairs")
    scores = probe.scores(rows[held_out])
    return probe, judge_scores(scores, toxic[held_out], groups[held_out])


def _measurements(
    params: Params, judgement: Judgement, groups: Int64[np.ndarray, " rows"]
) -> Iterator[Measurement]:
    for name, what in _WHAT.items():
        definition = _DEFINITION.format(
            what=what,
            fit=_FITTED.format(inverse_penalty=params.inverse_penalty)
            if params.probe is None
            else _RELEASED,
            averaged=params.averaged,
            labels=_LABELS[params.learned_from],
        )
        blank = Measurement(
            metric=f"probe_{name}", definition=definition, site=SITE, position="mean"
        )
        yield with_estimate(blank, getattr(judgement, name), groups)
