"""The model that a job will read, as far as the plan knows it before it is made."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jobs.artifacts.job import Scalar
from jobs.kind import Upstream
from jobs.models.family import family_of_config
from jobs.models.shape import Shape
from jobs.models.sizes import ModelSizes
from jobs.tokens.planned_tokenizer import planned_config


def model_of(upstream: Upstream | None) -> ModelSizes | None:
    """Return the sizes of the model that a job leaves; None while nothing says which it is."""
    config = config_of(upstream)
    return None if config is None else model_of_config(config)


def shape_of(upstream: Upstream | None) -> Shape | None:
    """Return the shape of the model that a job leaves, also where its vocabulary is not known yet.

    Such a vocabulary counts as one token.
    """
    config = config_of(upstream, counts_tokens=False)
    return None if config is None else family_of_config(config).shape({"vocab_size": 1, **config})


def model_of_config(config: Mapping[str, Any]) -> ModelSizes:
    """Return the sizes that a config describes, counted once for all jobs."""
    return _model(json.dumps(dict(config), sort_keys=True))


def configured_facts(config: object) -> Mapping[str, Scalar]:
    """Return what a study's config says of a model that is not made: its sizes, or its family."""
    if not isinstance(config, Mapping) or "family" not in config:
        return {}
    if config.get("vocab_size") is None:
        return {"family": config["family"]}
    model = model_of_config(config)
    return {
        "family": model.family,
        "num_parameters": model.num_parameters,
        "num_parameters_non_embedding": model.num_inside,
        "d_model": model.shape.d_model,
        "num_layers": model.shape.num_layers,
    }


@lru_cache(maxsize=256)
def _model(config: str) -> ModelSizes:
    return ModelSizes.of(json.loads(config))


def config_of(model: Upstream | None, *, counts_tokens: bool = True) -> Mapping[str, Any] | None:
    """Return the config of the model that a job leaves, through any number of trainings.

    Args:
        model: what the plan knows of the job.
        counts_tokens: whether only a config will do that says how large the vocabulary is.
    """
    if model is None:
        return None
    known = ((model.facts or {}).get("model") or {}).get("config") or model.params.get("config")
    if known and ("vocab_size" in known or not counts_tokens):
        config: Mapping[str, Any] = known
        return config
    inputs = model.inputs
    if not inputs:
        return planned_config(model)
    source = inputs.get("model") or inputs.get("base") or inputs.get("aligned")
    return config_of(source, counts_tokens=counts_tokens)
