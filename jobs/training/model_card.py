"""`model/README.md`: the card of a trained or exported checkpoint, which says how it was made.

Equal runs give equal bytes: a card holds no times, no paths, and no trace of interruptions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.artifacts.artifact import CARD, Artifact
from jobs.hub.client import is_on_hub, repository
from jobs.params import Params, execution_names, marked
from jobs.worker.work import Work

Facts = Mapping[str, Any]
"""Facts of a record: small JSON by name."""
_NUM_KEY_DIGITS = 12
_LEFT_OUT = ("last", "resumed_from", "resume")
"""Facts of a training that have a section of their own, or that differ between equal runs."""
_PLACE_IN_RUN = ("label", "step")
"""Facts of a snapshot: which of the models of its training it is."""


def write_model_card(work: Work, kind: str, facts: Facts) -> None:
    """Write the card of a trained checkpoint into `model/`, beside the weights.

    Args:
        work: the attempt; its inputs, params and versions are written down.
        kind: the kind of job.
        facts: what the job returns; `training` and `adapter` are written down.
    """
    settings, execution = _params(work.params)
    training = facts["training"]
    parts = {
        "Data and steps": _without_interruptions(training),
        "Adapter that was added": facts.get("adapter", {}),
        "Settings": settings,
        "How it was computed": execution,
        "Last row of the training log": training.get("last", {}),
    }
    objective = getattr(work.params, "objective", None)
    _write(work, [kind] if objective is None else [kind, objective], _MEANING, parts)


def write_export_card(work: Work, facts: Facts) -> None:
    """Write the card of an exported checkpoint into `model/`, beside the weights.

    Args:
        work: the attempt; what its input `model` says of its training is written down again.
        facts: what the job returns; `dtype` and `rounding` are written down.
    """
    made = work.input("model").facts
    parts = {
        "What rounding took": facts["rounding"] or {"not measured": "no base was given"},
        "Which model of the run": {name: made[name] for name in _PLACE_IN_RUN if name in made},
        "How it was trained": _without_interruptions(made.get("training", {})),
        "Adapter that was added": made.get("adapter", {}),
    }
    meaning = f"A causal language model, its weights written in {facts['dtype']} by deltascale.\n"
    _write(work, ["export", facts["dtype"]], meaning, parts)


def _write(work: Work, words: Sequence[str], meaning: str, parts: Mapping[str, Facts]) -> None:
    from huggingface_hub import ModelCard, ModelCardData

    data = ModelCardData(
        base_model=base_on_hub(work),
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["deltascale", *words],
    )
    made_from = {name: _describe(work.input(name)) for name in sorted(work.inputs)}
    made_by = {"commit of deltascale": work.commit, "threads": work.threads, **work.versions}
    listed = {"Made from": made_from, **parts, "Software": made_by}
    tables = [f"## {name}\n\n{_table(rows)}" for name, rows in listed.items() if rows]
    body = "\n".join([f"# {' '.join(['deltascale', *words])}\n", meaning, *tables])
    ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}").save(work.folder / CARD)


def _without_interruptions(training: Facts) -> dict[str, object]:
    """Return the facts that equal runs share, however often they were interrupted."""
    return {name: training[name] for name in training if name not in _LEFT_OUT}


def base_on_hub(work: Work) -> str | None:
    """Return the repository on the hub that the first of any number of trainings began from."""
    if not work.has("model"):
        return None
    facts = work.input("model").facts
    source = facts.get("source", "")
    return repository(source) if is_on_hub(source) else facts.get("base_model")


_MEANING = """\
A causal language model with fp32 weights, trained by deltascale. The same settings, data, software
and kind of processor give the same weights again.
"""


def _params(params: Params) -> tuple[dict[str, object], dict[str, object]]:
    """Return params that decide what the model is, and params of how it was computed; no paths.

    A kind may leave out of its dump what does not apply, as `align` does with other objectives'
    settings.
    """
    values = params.model_dump(mode="json")
    hows, paths = execution_names(type(params)), marked(type(params), "path")
    execution = {name: values[name] for name in values if name in hows}
    deciding = {name: values[name] for name in values if name not in {*hows, *paths}}
    return deciding, execution


def _describe(artifact: Artifact) -> str:
    """Describe an input by its kind, its key and the digest of its bytes."""
    facts = artifact.facts
    text = f"{artifact.kind} {artifact.key[:_NUM_KEY_DIGITS]}, content {artifact.record_digest}"
    source = facts.get("source", "")
    if is_on_hub(source):
        text += f", {source} at {facts['revision']}"
    return text


def _table(rows: Facts) -> str:
    lines = [f"| {name} | {_cell(value)} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines, ""])


def _cell(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text.replace("|", "\\|").replace("\n", " ")
