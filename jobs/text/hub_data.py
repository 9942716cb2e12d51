"""Data sets of the hub as `source`: found in the root, where `fetch` took them.

`hf://datasets/org/name`, with `@revision` and a file or folder behind it where a study says so. A
key holds the digest of the bytes, so that the same data from a folder give the same job.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from cluster.errors import UserError
from cluster.storage import Storage
from jobs.artifacts.local_copies import place_of_copy
from jobs.hub.repository import SHELVES, HubData, Repository, hub_data, is_hub_data
from jobs.hub.shelf import Shelf
from jobs.params import Params, marked
from jobs.text.shard_names import is_data_file

P = TypeVar("P", bound=Params)

_ON_SHELF = re.compile(
    r"(?P<owner>[\w.-]+?)--(?P<name>[\w.-]+)/(?P<commit>[0-9a-f]{40})/files(?:/(?P<path>.+))?",
    re.ASCII,
)


def chosen_files(data: HubData, names: Sequence[str]) -> list[str]:
    """Choose from the files of a data set those that a source names: one, or all of rows and text.

    Hidden files, scripts, pictures and texts about the data stay.
    """
    if data.path in names:
        return [data.path]
    folder = f"{data.path}/" if data.path else ""
    return [
        name
        for name in names
        if name.startswith(folder) and is_data_file(PurePosixPath(name[len(folder) :]))
    ]


def place_of_data(source: str, root: Storage | None, revisions: Mapping[str, str]) -> Path | None:
    """Return where data of the hub lie on this machine; None where they were not fetched.

    Args:
        source: `hf://datasets/…`.
        root: the output root; its files are copied here first where it is a remote one.
        revisions: what the root remembers of revisions.

    Raises:
        UserError: it names no data set.
        SurroundingsError: a file is damaged.
    """
    data = hub_data(source)
    commit = data.commit(revisions)
    if commit is None or root is None:
        return None
    shelf = Shelf(root, data.repository, commit)
    names = shelf.find(lambda listing: chosen_files(data, listing))
    return shelf.place(names) / data.path if names else None


def not_in_root(source: str, study: str = "STUDY") -> UserError:
    """Make the fault for data of the hub that nobody fetched."""
    return UserError(
        f"{source} is not in the root",
        where=source,
        hint=f"`deltascale fetch {study}` takes it there, on a machine with internet; "
        "or download it, and name the folder as source",
        code="data-missing",
    )


def as_on_hub(params: Mapping[str, Any], root: Storage) -> dict[str, Any]:
    """Write data that lie in a root by their name on the hub: other machines have other paths."""
    folder = f"{SHELVES}/datasets"
    shelves = f"{root.url}/{folder}/" if root.is_local else f"{place_of_copy(root, folder)}/"

    def named(value: Any) -> Any:
        if isinstance(value, list):
            return [named(item) for item in value]
        is_there = isinstance(value, str) and value.startswith(shelves)
        parts = _ON_SHELF.fullmatch(value.removeprefix(shelves)) if is_there else None
        if parts is None:
            return value
        repository = Repository(type="dataset", name=f"{parts['owner']}/{parts['name']}")
        data = HubData(repository=repository, revision=None, path=parts["path"] or "")
        return data.at(parts["commit"])

    return {
        name: named(value) if isinstance(value, str | list) else value
        for name, value in params.items()
    }


def with_local_data(params: P, root: Storage) -> P:
    """Return params of a job with data of the hub as paths of this machine.

    Raises:
        UserError: they are not in the root.
        SurroundingsError: a file is damaged.
    """

    def local(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return type(value)(local(item) for item in value)
        if not is_hub_data(value):
            return value
        place = place_of_data(value, root, {})
        if place is None:
            raise not_in_root(value)
        return str(place)

    given = {name: getattr(params, name) for name in marked(type(params), "path")}
    changed = {name: local(value) for name, value in given.items()}
    return params.model_copy(update=changed) if changed != given else params
