"""The model of an artifact as a checkpoint folder, also where the artifact only refers to others.

A snapshot is a reference: to the model that training left, or to an adapter or a difference and the
base that it belongs to. What has to be put together lies in a temporary folder of this process, as
long as the artifact that asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from cluster.disk.temp_folders import TempFolder
from cluster.errors import SurroundingsError
from jobs.artifacts.artifact import Artifact

OPENS = "opens"
"""Fact of an artifact whose model has its weights elsewhere."""
_MODEL = "model"
_ADAPTER = "adapter"

_put_together: WeakKeyDictionary[Artifact, TempFolder] = WeakKeyDictionary()
_lent: WeakKeyDictionary[Artifact, Path] = WeakKeyDictionary()
"""Artifact -> the folder that another process has put its model together in."""
_found: WeakKeyDictionary[Artifact, dict[Source, Artifact]] = WeakKeyDictionary()
"""Artifact -> what its model is opened from. On a remote root that holds the copies of its files
here, and on any root they are digested once."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """An artifact that another one's model is opened from."""

    kind: str
    """Its kind."""
    key: str
    """Its key."""
    digest: str
    """Its content digest when it was referred to."""

    @classmethod
    def of(cls, artifact: Artifact) -> Source:
        """Refer to an artifact as it is now."""
        return cls(kind=artifact.kind, key=artifact.key, digest=artifact.record_digest)

    def find(self, beside: Artifact) -> Artifact:
        """Return the artifact, in the root of another one; it lives as long as that one.

        Raises:
            SurroundingsError: it is not there, or is not what it was.
        """
        found = _found.setdefault(beside, {})
        if self not in found:
            found[self] = self._find(beside)
        return found[self]

    def _find(self, beside: Artifact) -> Artifact:
        artifact = Artifact(beside.storage, self.kind, self.key)
        if artifact.record_digest != self.digest:
            raise SurroundingsError(
                f"{artifact.folder} is not what it was when {beside.folder} was made from it",
                where=beside.storage.url,
                hint="launch the study again: what is stale is made anew",
            )
        return artifact


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How a model is opened from other artifacts."""

    model: Source
    """Has the whole model where there is no `difference`, else the base of it."""
    difference: Source | None = None
    """Has the folder with what is not the base's."""
    folder: str = ""
    """The folder, in that artifact."""
    form: str = ""
    """`adapter` or `difference`."""

    def to_json(self) -> dict[str, Any]:
        """Return the fact."""
        return asdict(self)

    @classmethod
    def of(cls, artifact: Artifact) -> Opening | None:
        """Return how the model of an artifact is opened; None where it has it itself."""
        fact: Mapping[str, Any] | None = artifact.facts.get(OPENS)
        if fact is None:
            return None
        difference = fact["difference"]
        return cls(
            model=Source(**fact["model"]),
            difference=None if difference is None else Source(**difference),
            folder=fact["folder"],
            form=fact["form"],
        )


def model_folder(artifact: Artifact) -> Path:
    """Return a checkpoint folder with the whole model of an artifact.

    Raises:
        SurroundingsError: what it is opened from is not there, or is not what it was.
    """
    opening = Opening.of(artifact)
    if opening is None:
        return artifact.directory(_MODEL)
    if opening.difference is None:
        return model_folder(opening.model.find(artifact))
    if artifact in _lent:
        return _lent[artifact]
    if artifact not in _put_together:
        scratch = TempFolder("put-together")
        base = opening.model.find(artifact)
        _put(opening, model_folder(base), artifact, scratch.path / _MODEL)
        _put_together.pop(base, None)  # a base that was a snapshot itself takes as much again
        _put_together[artifact] = scratch
    return _put_together[artifact].path / _MODEL


def is_put_together(artifact: Artifact) -> bool:
    """Tell whether the whole model of an artifact lies nowhere until somebody asks for it."""
    opening = Opening.of(artifact)
    return opening is not None and opening.difference is not None


def lend_folder(artifact: Artifact, folder: Path) -> None:
    """Take the folder that another process on this machine has put a model together in."""
    _lent[artifact] = folder


def _put(opening: Opening, base: Path, artifact: Artifact, target: Path) -> None:
    from jobs.models.adapters import merge_adapter
    from jobs.models.weight_difference import put_together

    assert opening.difference is not None
    folder = opening.difference.find(artifact).directory(opening.folder)
    if opening.form == _ADAPTER:
        merge_adapter(base, folder / _ADAPTER, target)
    else:
        put_together(base, folder, artifact.directory(_MODEL), target)


def adapter_on(base: Artifact, aligned: Artifact) -> Path | None:
    """Return the adapter's folder when the aligned model is an adapter on this very base."""
    opening = Opening.of(aligned)
    if opening is None:
        is_on_base = aligned.record.inputs.get(base.key) == base.record_digest
        has_adapter = is_on_base and bool(aligned.names(f"{_ADAPTER}/"))
        return aligned.directory(_ADAPTER) if has_adapter else None
    if opening.difference is None:
        return adapter_on(base, opening.model.find(aligned))
    is_on_base = (opening.model.key, opening.model.digest) == (base.key, base.record_digest)
    if opening.form != _ADAPTER or not is_on_base:
        return None
    return opening.difference.find(aligned).directory(f"{opening.folder}/{_ADAPTER}")
