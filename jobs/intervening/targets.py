"""The target of an intervention, from the artifacts of a job: a direction or toxic neurons."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from analysis.estimates.mean_offset import MeanOffset
from analysis.long_table.depth import layer_at
from analysis.status import Status
from cluster.errors import UserError
from jobs.behaviour.prompted_model import PromptedModel
from jobs.intervening.intervene_params import InterveneParams
from jobs.intervening.intervention import PARTS, Intervention, Target
from jobs.intervening.offset_parts import part_of_mean
from jobs.intervening.patching import why_missing
from jobs.models.family import family_of_config
from jobs.probing.directions_file import StoredDirections
from jobs.store.activation_store import ActivationStore
from jobs.taps.activations import batches_of, read_activations
from jobs.tokens.positions import find_positions
from jobs.weights.mean_offsets import find_mean_offset
from jobs.worker.work import Work


@dataclass(frozen=True, kw_only=True)
class Absent:
    """Why there is nothing to intervene with."""

    status: Status
    """The status in the table."""
    reason: str
    """Its footnote."""


def find_target(
    work: Work[InterveneParams], prompted: PromptedModel, intervention: Intervention
) -> Target | Absent:
    """Find the target in this model. Raises UserError when an input is of other models."""
    params, config = work.params, prompted.model.config
    place = intervention.PLACE or params.site
    missing = why_missing(prompted.model, place)
    if missing is not None:
        return Absent(status=Status.NOT_DEFINED_FOR_FAMILY, reason=missing)
    shape = family_of_config(config).shape(config)
    blank = Target(
        site=params.site,
        layer=layer_at(params.depth, shape.num_layers),
        neurons={},
        num_neurons=shape.d_mlp,
    )
    if params.made_of in ("mean-offset", *PARTS):
        return _mean_offset(work, prompted, intervention, blank)
    stored = _toxic_directions(work)
    if params.made_of == "neurons":
        target = replace(blank, neurons=stored.most_toxic(params.num_vectors))
        _check_neurons(work, target)
        return target
    direction = _direction(stored, params.made_of)
    return replace(blank, direction=_unit(direction), step=_step(work, prompted, blank, direction))


def _check_neurons(work: Work[InterveneParams], target: Target) -> None:
    """Require `num_vectors` neurons, and as many others in their layers as random controls."""
    params = work.params
    counts = [len(chosen) for chosen in target.neurons.values()]
    if sum(counts) < params.num_vectors:
        raise UserError(
            f"the probe kept {sum(counts)} toxic value vectors, not {params.num_vectors}",
            where="num_vectors",
            hint="give `probe-direction` a larger num_vectors",
        )
    if params.random_controls and 2 * max(counts) > target.num_neurons:
        raise UserError(
            f"{max(counts)} of the {target.num_neurons} neurons of one layer are toxic: there are "
            "not as many others for a random control",
            where="num_vectors",
            hint="give a smaller num_vectors, or random_controls: 0",
        )


def _direction(stored: StoredDirections, name: str) -> Float64[np.ndarray, " d"]:
    if name == "value-vector":
        return stored.most_toxic_vector
    return stored.probe_weights if name == "probe" else stored.directions.svd[0]


def _mean_offset(
    work: Work[InterveneParams], prompted: PromptedModel, intervention: Intervention, blank: Target
) -> Target | Absent:
    """Take mean δ at the place of the edit, with the base's mean; its length, or dose_unit's."""
    artifact, params = work.input("delta"), work.params
    for name in ("base", "aligned"):
        if work.input(name).key not in artifact.record.inputs:
            raise UserError(
                f"the extraction does not compare this {name} model",
                where=artifact.folder,
                hint="give as `delta` an extraction of the same base and aligned model",
            )
    store = ActivationStore(artifact)
    place = (blank.site, blank.layer, params.position)
    base = np.asarray(store.base(*place)[:], dtype=np.float64)
    offset = find_mean_offset(store, *place)
    problem = offset.problem if isinstance(offset, MeanOffset) else offset
    if problem is not None:
        return Absent(status=problem[0], reason=problem[1])
    assert isinstance(offset, MeanOffset)
    if not len(base):
        return Absent(status=Status.NOT_RUN, reason="the extraction kept no rows of the base")
    mean, share = offset.sums.sum(axis=0) / offset.counts.sum(), None
    if intervention.MADE in PARTS:
        part = part_of_mean(work, mean, place, offset.floor)
        if isinstance(part, tuple):
            return Absent(status=part[0], reason=part[1])
        mean, share = part, float(part @ part / (mean @ mean))
    own = intervention.MADE != "direction"
    return replace(
        blank,
        direction=_unit(mean),
        step=float(np.linalg.norm(mean)) if own else _step(work, prompted, blank, mean),
        base_mean=base.mean(axis=0),
        share=share,
    )


def _toxic_directions(work: Work[InterveneParams]) -> StoredDirections:
    artifact = work.input("toxic")
    if not {work.input(name).key for name in ("base", "aligned")} & set(artifact.record.inputs):
        raise UserError(
            "the toxic directions are of another model",
            where=artifact.folder,
            hint="give `probe-direction` the base, or the aligned model, as its `model`",
        )
    return StoredDirections(artifact)


def _step(
    work: Work[InterveneParams],
    prompted: PromptedModel,
    target: Target,
    direction: Float64[np.ndarray, " d"],
) -> float:
    """Return the length of dose 1: a median norm over tokens but first ones, 1, or the own one."""
    if work.params.dose_unit == "absolute":
        return 1.0
    if work.params.dose_unit == "own-length":
        return float(np.linalg.norm(direction))
    work.progress(None, "measuring activations")
    place = (target.site, target.layer)
    plan = prompted.plan
    tokens = find_positions(plan, ["all-but-first"], 0)
    norms = []
    model = prompted.model
    for _, inputs in batches_of(plan, tokens, model.device, work.params.token_budget):
        rows = read_activations(model, inputs, [place])[place]
        norms.append(rows.double().norm(dim=1).cpu().numpy())
    if not norms:
        raise UserError(
            "no prompt has a second token to measure the typical norm at",
            where="dose_unit",
            allowed=["absolute"],
        )
    return float(np.median(np.concatenate(norms)))


def _unit(vector: Float64[np.ndarray, " d"]) -> Float64[np.ndarray, " d"]:
    exact = np.asarray(vector, dtype=np.float64)
    return np.asarray(exact / np.linalg.norm(exact))
