"""Which jobs the studies of a root need: those of the last plan of each.

Raises SurroundingsError where that is not known, so that nothing is deleted.
"""

from collections.abc import Mapping
from typing import Annotated, NotRequired

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from cluster.checked_json import read_as
from cluster.errors import SurroundingsError
from cluster.storage import Storage
from jobs.artifacts.identity import KEY_LENGTH

_OWN_IN_STUDY = frozenset(
    {"study.yaml", "params.json", "plan.json", "index.json", "ledger", "requests", "lock"}
)

_PLANNED = _OWN_IN_STUDY - {"requests", "lock"}
"""What a launch leaves once its study was planned: then artifacts may be needed."""


def studies_of(root: Storage) -> list[str]:
    """List the folders in `studies/` that a launch made or may be making.

    Raises:
        ForeignEntry: one is a link: what lies behind it may be a study whose needs are not known.
    """
    names = root.list("studies")
    return [name for name in names if not _OWN_IN_STUDY.isdisjoint(root.list(f"studies/{name}"))]


class _Entry(TypedDict):
    """A job in the index of a study."""

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{16,64}$")]
    """Its key."""
    kind: NotRequired[Annotated[str, Field(pattern=r"^[a-z0-9_-]+$")]]
    """Its kind."""


class _Index(TypedDict):
    """What `gc` must know of an index."""

    stages: dict[str, list[_Entry]]
    """Stage -> its jobs."""


_INDEX = TypeAdapter(_Index)


def keys_in_plans(root: Storage) -> Mapping[str, str]:
    """Return the first characters of the key -> key, over the last plan of every study."""
    return {
        entry["key"][:KEY_LENGTH]: entry["key"]
        for study in root.list("studies")
        for entry in _entries(root, study)
    }


def kinds_in_plans(root: Storage) -> set[str]:
    """Return the kinds of the last plan of every study: a study may bring kinds of its own."""
    entries = [entry for study in root.list("studies") for entry in _entries(root, study)]
    return {entry["kind"] for entry in entries if "kind" in entry}


def _entries(root: Storage, study: str) -> list[_Entry]:
    name = f"studies/{study}/index.json"
    if not root.exists(name) and not _PLANNED.intersection(root.list(f"studies/{study}")):
        return []  # never launched
    try:
        index = read_as(root, name, _INDEX)
    except ValueError as error:
        raise _unknown_needs(root, name) from error
    if index is None:
        raise _unknown_needs(root, name)
    return [entry for entries in index["stages"].values() for entry in entries]


def _unknown_needs(root: Storage, name: str) -> SurroundingsError:
    return SurroundingsError(
        f"{name} is missing or damaged: what its study needs is not known, so nothing is deleted",
        where=root.url,
        hint="launch the study again, which writes the file, or delete the study's folder",
    )
