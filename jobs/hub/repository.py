"""`Repository`: a model or a data set on the hub, as studies name it and as it lies in a root."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from cluster.errors import UserError
from jobs.hub.client import DEFAULT_REVISION, SCHEME, is_commit, repository

SHELVES = "hub"
"""Folder of a root that holds what `fetch` took from the hub."""
_DATA_SCHEME = f"{SCHEME}datasets/"
_DATA_SET = re.compile(
    r"hf://datasets/(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^/@]+))?(?:/(?P<path>.+))?", re.ASCII
)
DATA_SETS = (
    "hf://datasets/organisation/name",
    "hf://datasets/organisation/name@revision/file or folder",
)
"""How data of the hub are named as a source."""


@dataclass(frozen=True, order=True, kw_only=True)
class Repository:
    """One repository of the hub."""

    type: str
    """`model` or `dataset`, as the hub calls it."""
    name: str
    """`organisation/name`; old models have a name alone."""

    @classmethod
    def of_model(cls, source: str) -> "Repository":
        """Return the repository of `hf://org/name`. Raises UserError when it is none."""
        return cls(type="model", name=repository(source))

    def __str__(self) -> str:
        return f"{_DATA_SCHEME if self.type == 'dataset' else SCHEME}{self.name}"

    @property
    def folder(self) -> str:
        """Folder of a root that holds it, a folder for each commit."""
        return f"{SHELVES}/{self.type}s/{self.name.replace('/', '--')}"


@dataclass(frozen=True, kw_only=True)
class HubData:
    """A data set on the hub, or a file or folder of one, as `source` names it."""

    repository: Repository
    """The data set."""
    revision: str | None
    """Branch, tag or commit."""
    path: str
    """File or folder in it; empty for all of it."""

    @property
    def known_name(self) -> str:
        """The name under which a root remembers the commit of the revision."""
        return f"{self.repository}@{self.revision or DEFAULT_REVISION}"

    def commit(self, known: Mapping[str, str]) -> str | None:
        """Return the commit, as it is written or as a root knows it; None where neither is.

        Args:
            known: what a root remembers (`known_name` -> commit).
        """
        if is_commit(self.revision):
            return self.revision
        return known.get(self.known_name)

    def at(self, commit: str) -> str:
        """Write the source with its commit."""
        return f"{self.repository}@{commit}" + (f"/{self.path}" if self.path else "")


def is_hub_data(source: object) -> bool:
    """Tell `hf://datasets/…` from all else."""
    return isinstance(source, str) and source.startswith(_DATA_SCHEME)


def hub_data(source: str) -> HubData:
    """Read a source that begins with `hf://datasets/`. Raises UserError when it names no data."""
    parts = _DATA_SET.fullmatch(source.rstrip("/"))
    path = parts["path"] or "" if parts else ""
    if parts is None or ".." in PurePosixPath(path).parts:
        raise UserError(f"{source!r} names no data set on the hub", allowed=DATA_SETS)
    return HubData(
        repository=Repository(type="dataset", name=parts["name"]),
        revision=parts["revision"],
        path=path,
    )
