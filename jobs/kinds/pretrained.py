"""Kind `pretrained`: a published or local model as it is, copied into the root and checked.

Reads safetensors headers only, so it needs no torch. Never takes a pickle or a file of code.
"""

import os
import shutil
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import xxhash

from cluster.errors import UserError
from cluster.resources import Resources
from jobs.artifact import digest_file
from jobs.family import family_of_config
from jobs.kind import Input, execution, model_source
from jobs.kind import Params as KindParams
from jobs.models import hub
from jobs.models.folder import check_model_folder, model_files
from jobs.models.loading import describe_model
from jobs.models.shape import read_shape
from jobs.work import Work

VERSION = 1
INPUTS: Mapping[str, Input] = {}
GATHERS = False
USES_TORCH = False

UNRESOLVED = "unresolved"
"""How the pin of a revision starts that no launch has resolved yet."""


class Params(KindParams):
    """What to take, and what it is expected to be."""

    source: str = model_source(
        ..., "The model: `hf://org/name`, or a folder in the hub's layout.", min_length=1
    )
    revision: str | None = execution(
        None, "Branch, tag or commit on the hub; the commit it stands for at launch is pinned."
    )
    config: dict[str, Any] | None = execution(
        None, "Fields such as family, num_layers, d_model, to plan by; checked against the model."
    )


def uses(params: Params) -> frozenset[str]:
    """It has no inputs."""
    return frozenset()


def pins(params: Params, known: Mapping[str, str]) -> Mapping[str, str]:
    """The commit on the hub, or the digest of a folder's files.

    Raises:
        UserError: the folder is not there or is no model; the config fields make no sense.
    """
    if params.config is not None:
        family_of_config(params.config).num_parameters(params.config)
    if not hub.is_on_hub(params.source):
        folder = _folder(params)
        check_model_folder(folder, params.source)
        return {"weights": _digest(folder, model_files(folder))}
    hub.repository(params.source)
    if params.revision is not None and hub.is_commit(params.revision):
        return {"revision": params.revision}
    # The revision's name stays in it: two revisions of one model are two jobs before they resolve.
    unresolved = f"{UNRESOLVED} {params.revision or hub.DEFAULT_REVISION}"
    return {"revision": known.get(known_name(params), unresolved)}


def known_name(params: Params) -> str:
    """Under what name a launch remembers what the revision was resolved to."""
    return f"{params.source}@{params.revision or hub.DEFAULT_REVISION}"


def resolve(params: Params) -> tuple[str, str] | None:
    """(known_name, commit) for a model on the hub; None where there is nothing to resolve.

    Raises:
        UserError: no such model or revision.
        SurroundingsError: there is no network and the cache does not know it.
    """
    if not hub.is_on_hub(params.source):
        return None
    return known_name(params), hub.commit_of(params.source, params.revision)


def resources(params: Params) -> Resources:
    """One core: it copies files."""
    return Resources(num_cpus=1, memory_gb=1)


def run(work: Work) -> dict[str, Any]:
    """Put the model's files into `model/`, check them, and say what they are."""
    params: Params = work.params
    folder, commit = _located(work)
    names = model_files(folder, params.source)
    check_model_folder(folder, params.source)
    target = work.folder / "model"
    target.mkdir(exist_ok=True)
    place = _copy if commit is None else _link
    for index, name in enumerate(names):
        work.progress(index / len(names), f"taking {name}")
        place(folder / name, target / name)
    config = check_model_folder(target, params.source)
    _check_expected(params, config)
    if commit is None:
        _check_unchanged(target, names, work)
    return {"model": describe_model(config), "source": params.source, "revision": commit}


def _folder(params: Params) -> Path:
    folder = Path(params.source).expanduser()
    if not folder.is_dir():
        raise UserError(
            "there is no such folder" if not folder.exists() else "this is a file, not a folder",
            where=f"source {params.source}",
            hint="a model on the hub is written hf://organisation/name",
        )
    return folder


def _located(work: Work) -> tuple[Path, str | None]:
    """The folder to take from, and the commit when it comes from the hub."""
    params: Params = work.params
    if not hub.is_on_hub(params.source):
        return _folder(params), None
    commit = work.pins.get("revision", UNRESOLVED)
    if commit.startswith(UNRESOLVED):
        commit = hub.commit_of(params.source, params.revision)
    work.progress(None, f"fetching {params.source}")
    return hub.download(params.source, commit), commit


def _copy(source: Path, target: Path) -> None:
    """A user's folder may be written to later: the artifact must not share its bytes."""
    target.unlink(missing_ok=True)
    shutil.copyfile(source, target)


def _link(source: Path, target: Path) -> None:
    """A cache's files are never written to: share them on one file system, else copy."""
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def _check_expected(params: Params, config: Mapping[str, Any]) -> None:
    if params.config is None:
        return
    found = describe_model(config)
    shape = read_shape(family_of_config(config).FIELDS, config)
    wrong = []
    for name, expected in params.config.items():
        actual = found["family"] if name == "family" else getattr(shape, name, None)
        if actual != expected:
            wrong.append(f"{name} is {actual}, not {expected}")
    if wrong:
        raise UserError(
            f"the model is not what the study's config says: {'; '.join(wrong)}",
            where=params.source,
            hint="correct `config` in the study; plans and tables go by it",
        )


def _check_unchanged(target: Path, names: list[str], work: Work) -> None:
    planned = work.pins.get("weights")
    if planned is not None and _digest(target, names) != planned:
        raise UserError(
            "the folder has changed since the study was planned",
            where=work.params.source,
            hint="plan and launch again",
        )


def _digest(folder: Path, names: list[str]) -> str:
    """xxh3-64 over names and digests of the files of a model, 16 hex digits."""
    hasher = xxhash.xxh3_64()
    for name in names:
        state = (folder / name).stat()
        digest = _file_digest(folder / name, state.st_size, state.st_mtime_ns)
        hasher.update(f"{name}\0{digest}\n".encode())
    return hasher.hexdigest()


@lru_cache(maxsize=4096)
def _file_digest(path: Path, size: int, modified_ns: int) -> str:
    """Read once per process while size and time stay: a ladder names its models many times."""
    return digest_file(path)
