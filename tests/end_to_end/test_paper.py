"""The paper's study, rehearsed whole: the file as it is but for sizes and doses, on a stand-in."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.end_to_end import paper_stand_in as stand_in

STUDY = Path(__file__).parents[2] / "studies/gpt2-medium-paper.yaml"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
_ENDS = ("num_gpus", "layers", "token_ids", "steps", "learning_rate", "warmup_steps", "every")
_ENDS += ("patience", "validation_fraction", "dose", "max_texts")
SWAPPED = re.compile(rf"axes/model/0/config/.*|.*/({'|'.join(_ENDS)})(/\d+)?")
"""The only places in which the rehearsed study may differ: sizes, and how far things are pushed."""


def rehearsed(study: dict[str, Any]) -> dict[str, Any]:
    """The study with sizes that a processor trains in seconds."""
    small = json.loads(json.dumps(study))
    model = {"family": "gpt2", **stand_in.SIZES}
    small["axes"]["model"][0]["config"] = model
    for direction, dose in zip(small["axes"]["direction"], (8, 4, 20), strict=True):
        direction["dose"] = dose
    for stage in small["stages"].values():
        params = stage.get("params", {})
        for name, value in {"num_gpus": 0, "token_ids": [300], "max_texts": 300}.items():
            if name in params:
                params[name] = value
        if isinstance(params.get("layers"), list):
            params["layers"] = [1, 2, 3][: len(params["layers"])]
    training = small["stages"]["aligned"]["params"]
    training |= {"steps": 60, "learning_rate": 3e-4, "warmup_steps": 5}
    training["early_stopping"] = {"every": 10, "patience": 3}
    small["stages"]["pairs"]["params"]["validation_fraction"] = 0.1
    return small


def places(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar of a study with its place."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in items:
        here = f"{place}/{name}" if place else str(name)
        if isinstance(item, (dict, list)):
            yield here, type(item)
            yield from places(item, here)
        else:
            yield here, item


def differing(one: Any, other: Any) -> set[str]:
    """The places at which two studies differ."""
    return {place for place, _ in set(places(one)) ^ set(places(other))}
