"""`model/README.md`: the card of a trained checkpoint, which says what made it.

Equal runs give equal bytes: it holds no times, no paths, and nothing of how often a run was
interrupted.
"""

import json
from collections.abc import Mapping
from typing import Any

from jobs.artifact import CARD, Artifact
from jobs.models.hub import is_on_hub, repository
from jobs.work import Work

_NUM_KEY_DIGITS = 12


def write_model_card(work: Work, kind: str, facts: Mapping[str, Any]) -> None:
    """Put the card into `model/`, beside the weights.

    Args:
        work: the attempt; its inputs, params and versions are written down.
        kind: the kind of job.
        facts: what the job returns; `training` is written down.
    """
    from huggingface_hub import ModelCard, ModelCardData

    base = base_on_hub(work)
    data = ModelCardData(
        base_model=base,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["deltascale", kind, *_objective(work)],
    )
    text = f"---\n{data.to_yaml()}\n---\n\n{_body(work, kind, facts)}"
    ModelCard(text).save(work.folder / CARD)


def base_on_hub(work: Work) -> str | None:
    """The repository on the hub that training began from, through any number of trainings."""
    if not work.has("model"):
        return None
    facts = work.input("model").facts
    source = facts.get("source", "")
    return repository(source) if is_on_hub(source) else facts.get("base_model")


def _objective(work: Work) -> list[str]:
    named = getattr(work.params, "objective", None)
    return [] if named is None else [named]


def _body(work: Work, kind: str, facts: Mapping[str, Any]) -> str:
    training = dict(facts["training"])
    last = training.pop("last")
    training.pop("resumed_from")
    title = " ".join(["deltascale", kind, *_objective(work)])
    settings, execution = _params(work.params)
    made_by = {"commit of deltascale": work.commit, "threads": work.threads, **work.versions}
    parts = {
        "Made from": {name: _described(work.input(name)) for name in sorted(work.inputs)},
        "Data and steps": training,
        "Settings": settings,
        "How it was computed": execution,
        "Last row of the training log": last,
        "Software": made_by,
    }
    tables = [f"## {name}\n\n{_table(rows)}" for name, rows in parts.items() if rows]
    return "\n".join([f"# {title}\n", _MEANING, *tables])


_MEANING = """\
A causal language model with fp32 weights, trained by deltascale. The same settings, data, software
and kind of processor give the same weights again.
"""


def _params(params: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Params that decide what the model is, and params of how it was computed; no paths.

    A kind may leave out of its dump what does not apply, as `align` does with other objectives'
    settings.
    """
    values = params.model_dump(mode="json")
    fields = type(params).model_fields
    marks = {name: fields[name].json_schema_extra or {} for name in values}
    execution = {name: values[name] for name in values if "execution" in marks[name]}
    deciding = {
        name: values[name] for name in values if name not in execution and "path" not in marks[name]
    }
    return deciding, execution


def _described(artifact: Artifact) -> str:
    """An input by what it is, its key and the digest of its bytes."""
    facts = artifact.facts
    known = f"{artifact.kind} {artifact.key[:_NUM_KEY_DIGITS]}, content {artifact.record_digest}"
    source = facts.get("source", "")
    if is_on_hub(source):
        known += f", {source} at {facts['revision']}"
    return known


def _table(rows: Mapping[str, Any]) -> str:
    lines = [f"| {name} | {_cell(value)} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines, ""])


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text.replace("|", "\\|").replace("\n", " ")
