"""The model that a job will read, as far as the plan knows it before it is made."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jobs.kind import Upstream
from jobs.models.sizes import Model


def model_of(upstream: Upstream | None) -> Model | None:
    """Return the sizes of the model that a job leaves; None while nothing says which it is."""
    config = config_of(upstream)
    return None if config is None else model_of_config(config)


def model_of_config(config: Mapping[str, Any]) -> Model:
    """Return the sizes that a config describes, counted once for all jobs."""
    return _model(json.dumps(dict(config), sort_keys=True))


@lru_cache(maxsize=256)
def _model(config: str) -> Model:
    return Model.of(json.loads(config))


def config_of(model: Upstream | None) -> Mapping[str, Any] | None:
    """Return the config of the model that a job leaves, through any number of trainings."""
    if model is None:
        return None
    known = ((model.facts or {}).get("model") or {}).get("config") or model.params.get("config")
    if known and "vocab_size" in known:
        config: Mapping[str, Any] = known
        return config
    inputs = model.inputs
    return config_of(inputs.get("model") or inputs.get("base") or inputs.get("aligned"))
