"""Is the hub asked at all? Where `fetch` filled a root, jobs find everything there.

Nobody is asked then, and jobs hold no token: what is missing is said at once, where nodes without
internet would wait for a network.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.machine.set_variables import variables_set
from cluster.storage import Storage
from jobs.hub.shelf import has_shelves

_SWITCH = "HF_HUB_OFFLINE"
_SWITCHES = (_SWITCH, "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_ON_LINE = frozenset({"0", "off", "no", "false"})
_LOADED = (
    ("huggingface_hub.constants", "HF_HUB_OFFLINE"),
    ("datasets.config", "HF_HUB_OFFLINE"),
    ("datasets.config", "HF_DATASETS_OFFLINE"),
)
"""Modules that read the variables when they were loaded, and where they keep them."""


def is_hub_offline(root: Storage) -> bool:
    """Tell whether jobs on a root leave the hub alone: `fetch` was there, and the user lets them.

    `HF_HUB_OFFLINE=0` in the environment has jobs ask the hub all the same.
    """
    return os.environ.get(_SWITCH, "").lower() not in _ON_LINE and has_shelves(root)


@contextmanager
def hub_offline(is_offline: bool = True) -> Iterator[None]:
    """Keep libraries from asking the hub, and this process from its token, while the block runs.

    Args:
        is_offline: False to change nothing.
    """
    if not is_offline:
        yield
        return
    variables: dict[str, str | None] = {**dict.fromkeys(_SWITCHES, "1"), **dict.fromkeys(_TOKENS)}
    loaded = [
        (sys.modules[module], name, getattr(sys.modules[module], name))
        for module, name in _LOADED
        if hasattr(sys.modules.get(module), name)
    ]
    for module, name, _ in loaded:
        setattr(module, name, True)
    try:
        with variables_set(variables):
            yield
    finally:
        for module, name, before in loaded:
            setattr(module, name, before)
