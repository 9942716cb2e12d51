"""The layout of an activation store on disk: names of files and arrays, JSON of index and markers.

A unit counts only when its `UNIT.json` parses, speaks of this plan and these prompts, and every
shard has the digest it lists. Missing units follow from ids, never from a listing or a count.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NotRequired, Protocol

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from cluster.checked_json import parse_as
from jobs.artifacts.artifact import digest_file, is_plain_name
from jobs.taps.taps import Place
from jobs.tokens.batches import Unit

INDEX = "store.json"
"""File at the top: a `StoreIndex`."""
PLAN = "token_plan.safetensors"
"""File at the top: the arrays of the token plan."""
UNITS = "units"
"""Folder that holds one folder per unit, shards and marker in each."""
MARKER = "UNIT.json"
"""File of a unit, a `UnitMarker`, written last; without it the unit does not exist."""


class TensorEntry(TypedDict):
    """A tensor of a shard."""

    dtype: str
    """`float32`, `bfloat16`, ..."""
    shape: list[int]
    """Length of each axis."""


class ShardEntry(TypedDict):
    """A safetensors file of a unit."""

    bytes: int
    """Size of the file."""
    xxh3: str
    """xxh3-64 of the file, in hex."""
    tensors: dict[str, TensorEntry]
    """Name -> dtype and shape."""


class UnitMarker(TypedDict):
    """Content of `UNIT.json`."""

    unit: int
    """Number of the unit."""
    group: int
    """Group of all prompts of the unit."""
    token_plan: str
    """Hash of the token plan."""
    members: str
    """Digest of the indices of the unit's prompts."""
    num_prompts: int
    """Number of prompts."""
    num_tokens: int
    """Tokens without padding."""
    shards: dict[str, ShardEntry]
    """File name -> what the file holds."""
    rows: NotRequired[dict[str, int]]
    """Position label -> rows that entered the summaries."""
    token_budget: NotRequired[int]
    """Most tokens that were forwarded together."""


_MARKER = TypeAdapter(UnitMarker)


class StoreIndex(TypedDict):
    """Content of `store.json`; an index that was made again from units lacks the last five."""

    sites: list[str]
    """Sites that the study names, those that the family lacks included."""
    layers: list[int]
    """Layers, ascending."""
    positions: list[str]
    """Position labels that have rows."""
    absent_positions: list[str]
    """Position policies without a row in these prompts."""
    missing: dict[str, str]
    """Site -> why the family does not have it."""
    rowwise: list[str]
    """Positions all of whose rows are stored, instead of moments."""
    num_reservoir: int
    """Most rows of a position in the reservoir."""
    token_plan: str
    """Hash of the token plan."""
    num_prompts: int
    """Prompts in the plan."""
    num_tokens: int
    """Tokens in the plan."""
    num_units: int
    """Units of the store."""
    floor: dict[str, dict[str, float]]
    """`SITE.LAYER.LABEL` -> norms of the base against itself."""
    dense: NotRequired[list[str]]
    """Positions with d x d moments."""
    dtype: NotRequired[str]
    """Compute dtype of both models."""
    attention: NotRequired[str]
    """Attention kernel."""
    template: NotRequired[str | None]
    """Digest of the chat template; None without one."""
    too_long: NotRequired[list[int]]
    """Ids of prompts left out for their length."""
    short: NotRequired[list[int]]
    """Ids of prompts whose answer is shorter than `prefill`; absent where none is."""
    refused: NotRequired[dict[str, list[int]]]
    """Reason -> ids of prompts that the chat template refuses; absent where it refuses none."""


class StoreFiles(Protocol):
    """Where the files of a store are: an `Artifact`, or a `StoreFolder`."""

    def names(self, folder: str = "") -> list[str]:
        """List the names of the files below a folder."""
        ...

    def path(self, name: str) -> Path:
        """Return a local file, its bytes checked against their digest."""
        ...

    def read(self, name: str) -> bytes:
        """Return the bytes of the same file."""
        ...


def array_prefix(place: Place, label: str) -> str:
    """Return the start of the names of all arrays of one place and position."""
    return f"{place[0]}.{place[1]}.{label}."


def make_marker(unit: Unit, plan_hash: str) -> UnitMarker:
    """Return the marker of a unit before any shard is written."""
    return {
        "unit": unit.number,
        "group": unit.group,
        "token_plan": plan_hash,
        "members": unit.digest,
        "num_prompts": len(unit.members),
        "num_tokens": unit.num_tokens,
        "shards": {},
    }


def parse_marker(data: bytes) -> UnitMarker:
    """Parse a marker. Raises ValueError when it is none, or lists files outside of its unit."""
    marker = parse_as(_MARKER, data)
    if not all(is_plain_name(file) and "/" not in file for file in marker["shards"]):
        raise ValueError("shards: a name leaves the folder of the unit")
    return marker


def is_of_unit(marker: Mapping[str, object], unit: Unit, plan_hash: str) -> bool:
    """Tell whether a marker speaks of this plan and these prompts."""
    expected = make_marker(unit, plan_hash)
    return all(marker.get(name) == value for name, value in expected.items() if name != "shards")


def list_whole_shards(folder: Path, unit: Unit, plan_hash: str) -> list[str] | None:
    """Return the names of a unit's shards when every byte matches the marker, else None."""
    try:
        marker = parse_marker((folder / MARKER).read_bytes())
        shards = marker["shards"]
        if is_of_unit(marker, unit, plan_hash) and all(
            digest_file(folder / file) == shards[file]["xxh3"] for file in shards
        ):
            return list(shards)
    except (OSError, ValueError):
        return None  # cut off in the middle of a write: the unit does not exist
    return None
