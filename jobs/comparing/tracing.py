"""Where a number comes from: the artifact that holds it, and those that were read to make it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cluster.errors import UserError
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.identity import KEY_LENGTH


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One artifact as its record says, and those it was made from."""

    kind: str
    """Kind of the job."""
    key: str
    """Its key, 64 hex digits."""
    label: str
    """`stage[axis=value,…]` in the study that asked first."""
    folder: str
    """Where its files lie, relative to the root: the winning attempt's folder."""
    params: Mapping[str, object]
    """All params of the job, defaults written out."""
    files: tuple[tuple[str, int, str], ...]
    """Name inside `folder`, bytes and xxh3-64 of each file."""
    versions: Mapping[str, str]
    """Versions of the interpreter and libraries in force."""
    commit: str | None
    """Commit of this code, with `+` when the tree had changes; None when unknown."""
    role: str = ""
    """As which input the artifact below reads it; empty for the one traced."""
    missing: str | None = None
    """Why it can no longer be read (collected as garbage); then only kind, key and label stand."""
    inputs: "tuple[Trace, ...]" = ()
    """The artifacts it read, by the names of its inputs."""

    def walk(self, depth: int = 0) -> "Iterator[tuple[int, Trace]]":
        """This one and all below it, each with its depth in the tree."""
        yield depth, self
        for found in self.inputs:
            yield from found.walk(depth + 1)

    def as_json(self) -> dict[str, object]:
        """Return the whole tree as JSON."""
        return {
            "kind": self.kind,
            "key": self.key,
            "label": self.label,
            "role": self.role,
            "folder": self.folder,
            "missing": self.missing,
            "params": dict(self.params),
            "files": [
                {"name": name, "bytes": size, "xxh3": digest} for name, size, digest in self.files
            ],
            "versions": dict(self.versions),
            "commit": self.commit,
            "inputs": [found.as_json() for found in self.inputs],
        }


class Tracer:
    """Traces on one root; an artifact that many numbers share is read once."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._traced: dict[str, Trace] = {}
        self._kinds: dict[str, str] | None = None

    def knows(self, key: str) -> bool:
        """Return whether the root holds anything of a job."""
        return self._kind_of(key) is not None

    def trace(self, key: str) -> Trace:
        """Return the chain behind a job. Raises UserError where no job of the root has such a key.

        Args:
            key: the whole key, or the 16 digits that name its folder.
        """
        kind = self._kind_of(key)
        if kind is None:
            raise UserError(
                f"no artifact of the root has the key {key!r}",
                where=self._storage.url,
                hint="a key is what the long table's column `key` holds",
            )
        return self._of(kind, key)

    def _of(self, kind: str, key: str) -> Trace:
        if key not in self._traced:
            self._traced[key] = self._read(kind, key)
        return self._traced[key]

    def _read(self, kind: str, key: str) -> Trace:
        artifact = Artifact(self._storage, kind, key)
        asked = _asked(self._storage, f"{artifact.folder}/job.json")
        whole = str(asked.get("key", key))
        found = Artifact(self._storage, kind, whole).find_record()
        if found is None:
            return _lost(kind, key, f"{artifact.folder} has no valid record")
        record, _ = found
        return Trace(
            kind=kind,
            key=record.key,
            label=_label(asked) or kind,
            folder=artifact.attempt_folder(record.attempt),
            params=asked.get("params", {}),
            files=tuple(
                (name, record.files[name].bytes, record.files[name].xxh3)
                for name in sorted(record.files)
            ),
            versions=record.versions,
            commit=record.commit,
            inputs=tuple(
                replace(self._input(upstream), role=role)
                for role, upstream in _inputs(asked, record.inputs)
            ),
        )

    def _input(self, key: str) -> Trace:
        kind = self._kind_of(key)
        return _lost("unknown", key, "no artifact") if kind is None else self._of(kind, key)

    def _kind_of(self, key: str) -> str | None:
        return self._folders().get(key[:KEY_LENGTH])

    def _folders(self) -> dict[str, str]:
        """Folder name of every artifact -> its kind."""
        if self._kinds is None:
            self._kinds = {
                name: kind
                for kind in self._storage.list("artifacts")
                for name in self._storage.list(f"artifacts/{kind}")
            }
        return self._kinds


def trace(storage: Storage, key: str) -> Trace:
    """The chain of artifacts behind one job. Raises UserError where the root has no such key."""
    return Tracer(storage).trace(key)


def _asked(storage: Storage, name: str) -> Mapping[str, Any]:
    """Return what was asked, as `job.json` says; nothing where that was lost."""
    try:
        asked: Mapping[str, Any] = json.loads(storage.read(name))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return asked


def _label(asked: Mapping[str, Any]) -> str:
    inside = ",".join(f"{axis}={value}" for axis, value in asked.get("cell", {}).items())
    stage = str(asked.get("stage", ""))
    return f"{stage}[{inside}]" if inside else stage


def _inputs(asked: Mapping[str, Any], read: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the input name and key of everything that was read, each once."""
    named: Mapping[str, Sequence[Any]] = asked.get("identity", {}).get("inputs", {})
    found: dict[str, str] = {}
    for name in sorted(named):
        for ref in named[name]:
            key = ref["key"] if isinstance(ref, Mapping) else ref
            found.setdefault(str(key), name)
    pairs = [(name, key) for key, name in found.items() if key in read]
    return pairs + [("", key) for key in sorted(read) if key not in found]


def _lost(kind: str, key: str, why: str) -> Trace:
    return Trace(
        kind=kind,
        key=key,
        label=kind,
        folder="",
        params={},
        files=(),
        versions={},
        commit=None,
        missing=why,
    )
