"""Where a number comes from: the artifact that holds it, and those that were read to make it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from cluster.errors import UserError
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.identity import KEY_LENGTH
from jobs.artifacts.job import OWN_CODE
from jobs.artifacts.request import Request, readable_request


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One artifact as its record describes it, and the artifacts from which it was made."""

    kind: str
    """Kind of the job."""
    key: str
    """Its key, 64 hex digits."""
    label: str
    """`stage[axis=value,…]` in the study that asked first."""
    folder: str = ""
    """Where its files lie, relative to the root: the winning attempt's folder."""
    params: Mapping[str, object] = field(default_factory=dict)
    """All params of the job, defaults written out."""
    own_code: Mapping[str, str] = field(default_factory=dict)
    """File of the study's own entries that the job was made by -> its digest."""
    files: tuple[tuple[str, int, str], ...] = ()
    """Name inside `folder`, bytes and xxh3-64 of each file."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the interpreter and libraries in force."""
    commit: str | None = None
    """Commit of this code, with `+` when the tree had changes; None when unknown."""
    role: str = ""
    """Name of the input as which the artifact below reads it; empty for the artifact traced."""
    missing: str | None = None
    """Why the artifact cannot be read any more; then only kind, key and label are known."""
    inputs: "tuple[Trace, ...]" = ()
    """The artifacts that the job read."""

    def walk(self, depth: int = 0) -> "Iterator[tuple[int, Trace]]":
        """Yield the trace and all below it, with their depths in the tree."""
        yield depth, self
        for upstream in self.inputs:
            yield from upstream.walk(depth + 1)

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
            "own_code": dict(self.own_code),
            "files": [
                {"name": name, "bytes": size, "xxh3": digest} for name, size, digest in self.files
            ],
            "versions": dict(self.versions),
            "commit": self.commit,
            "inputs": [upstream.as_json() for upstream in self.inputs],
        }


class Tracer:
    """Traces artifacts of one root; an artifact that many numbers share is read once."""

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
        return self._trace_once(kind, key)

    def _trace_once(self, kind: str, key: str) -> Trace:
        if key not in self._traced:
            why = "its record names the artifact itself as an input"
            self._traced[key] = Trace(kind=kind, key=key, label=kind, missing=why)
            self._traced[key] = self._read(kind, key)
        return self._traced[key]

    def _read(self, kind: str, key: str) -> Trace:
        artifact = Artifact(self._storage, kind, key)
        request = readable_request(self._storage, f"{artifact.folder}/job.json")
        asked = request["key"] if request else key
        # Of sixteen digits the request has the rest.
        valid = Artifact(self._storage, kind, asked if asked.startswith(key) else key).find_record()
        if valid is None:
            why = f"{artifact.folder} has no valid record"
            return Trace(kind=kind, key=key, label=kind, missing=why)
        record, _ = valid
        return Trace(
            kind=kind,
            key=record.key,
            label=_label(request) or kind,
            folder=artifact.attempt_folder(record.attempt),
            params=request["params"] if request else {},
            own_code=_own_code(request),
            files=tuple(
                (name, record.files[name].bytes, record.files[name].xxh3)
                for name in sorted(record.files)
            ),
            versions=record.versions,
            commit=record.commit,
            inputs=tuple(
                replace(self._input(upstream), role=role)
                for role, upstream in _inputs(request, record.inputs)
            ),
        )

    def _input(self, key: str) -> Trace:
        kind = self._kind_of(key)
        if kind is None:
            return Trace(kind="unknown", key=key, label="unknown", missing="no artifact")
        return self._trace_once(kind, key)

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
    """Return the artifacts behind one job. Raises UserError where the root has no such key."""
    return Tracer(storage).trace(key)


def _label(request: Request | None) -> str:
    if request is None:
        return ""
    inside = ",".join(f"{axis}={value}" for axis, value in request.get("cell", {}).items())
    stage = request.get("stage", "")
    return f"{stage}[{inside}]" if inside else stage


def _own_code(request: Request | None) -> dict[str, str]:
    pins = request["identity"].get("pins", {}) if request else {}
    return {name: pin for name, pin in sorted(pins.items()) if name.startswith(OWN_CODE)}


def _inputs(request: Request | None, read: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the input name and key of everything that was read, each once."""
    upstream = request["identity"].get("inputs", {}) if request else {}
    names: dict[str, str] = {}
    for name in sorted(upstream):
        for ref in upstream[name]:
            names.setdefault(ref if isinstance(ref, str) else ref["key"], name)
    pairs = [(name, key) for key, name in names.items() if key in read]
    return pairs + [("", key) for key in sorted(read) if key not in names]
