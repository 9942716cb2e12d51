"""Is a released probe one of the model that it is named for? Looked at when a study is planned."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jobs.forecast.upstream_models import config_of
from jobs.kind import Upstream
from jobs.models.family import family_of_config


def require_planned_probe(probe: str | None, model: Upstream | None) -> None:
    """Read a probe as its job will, as far as file and model are here.

    Args:
        probe: its file; None: none is given.
        model: what the plan knows of the model.

    Raises:
        UserError: it cannot be read, or is of another width.
    """
    config = config_of(model)
    if probe is None or config is None or not (path := Path(probe)).exists():
        return
    state = path.stat()
    width = family_of_config(config).shape(config).d_model
    _read_once(path, width, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=16)
def _read_once(path: Path, d_model: int, size: int, modified_ns: int) -> None:
    from jobs.probing.released_probe import read_probe

    read_probe(path, d_model)
