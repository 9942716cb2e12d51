"""What a job writes into the temp folder to open the models that it reads.

A snapshot has no weights of its own: whoever reads it puts the model together, in fp32.
"""

from collections.abc import Mapping
from typing import Any

from jobs.forecast.upstream_models import model_of
from jobs.kind import KINDS, Kind, Upstream
from jobs.training.snapshots.settings import END
from jobs.worker.absence import absence

_SINGLE = 4
"""Bytes of a weight in fp32."""


def bytes_put_together(kind: Kind[Any], inputs: Mapping[str, Upstream]) -> int:
    """Return the most bytes that a job has in the temp folder of a node at any time, for models.

    The ranks of a node share them.

    Args:
        kind: of the job.
        inputs: what the plan knows of the jobs it reads.
    """
    if kind.REFERS:
        return 0  # it only describes the model
    opened = {name: one for name, one in inputs.items() if _is_put_together(one)}
    sizes = {
        name: _bytes(one) for name, one in opened.items() if not _stays_adapter(kind, name, inputs)
    }
    # A model that training began from, and that was a snapshot itself, stands beside meanwhile.
    beside = [_bytes(one) for one in opened.values() if _is_put_together(_base_of(one))]
    return sum(sizes.values()) + max(beside, default=0)


def _bytes(upstream: Upstream) -> int:
    model = model_of(upstream)
    return 0 if model is None else _SINGLE * model.num_parameters


def _is_put_together(upstream: Upstream | None) -> bool:
    """Tell whether a job leaves a model on the way; not so the end, which training wrote whole."""
    if upstream is None or not KINDS.find(upstream.kind).REFERS:
        return False
    return END not in upstream.params.values() and absence(upstream.facts or {}) is None


def _base_of(upstream: Upstream) -> Upstream | None:
    """Return the model that the training of a snapshot began from."""
    return upstream.inputs["aligned"].inputs.get("model") if "aligned" in upstream.inputs else None


def _stays_adapter(kind: Kind[Any], name: str, inputs: Mapping[str, Upstream]) -> bool:
    """Tell whether a job runs base and adapter as one model, so that nothing is merged."""
    if name != "aligned" or "base" not in inputs or not kind.USES_TORCH:
        return False
    trained = inputs[name].inputs.get("aligned")
    is_adapter = trained is not None and trained.params.get("lora") is not None
    return is_adapter and _base_of(inputs[name]) == inputs["base"]
