"""`Prepared`: what the params of one cell say about its job; and all of a study's, as launched.

A launch records them under the root, so that whoever asks about the study later needs neither its
data nor its models: with the text of the study they give the same plan.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, NotRequired

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from cluster.checked_json import read_as
from cluster.errors import UserError
from cluster.machine.resources import Resources
from cluster.storage import Storage
from jobs.artifacts.artifact import digest_bytes
from jobs.entries.own_entries import PIN
from jobs.kind import Kind, Params
from jobs.text.hub_data import as_on_hub
from orchestrator.plan.grid import Row
from orchestrator.plan.identity_params import ParamMarks
from orchestrator.plan.launched_data import Stamp, stamps_of
from orchestrator.study.study import Study


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What the params of a cell say about its job."""

    params: Mapping[str, Any]
    """All params as JSON, defaults written out, paths resolved."""
    validated: Params
    """The same, validated."""
    identity: Mapping[str, object]
    """The part that changes a number; files as digests."""
    pins: Mapping[str, str]
    """Digests and revisions of outside data, from the kind."""
    used: frozenset[str]
    """Inputs that these params make the job use."""
    spared: frozenset[str]
    """Those of them that the job can do without."""
    resources: Resources
    """What the job needs of a machine."""
    workers: int
    """Most attempts that may share the job at a time."""
    own: frozenset[str] = frozenset()
    """Own entries of the study that the job uses itself, by path; their digests are pins."""
    absent: tuple[str, ...] = ()
    """Files and folders of the user's data that are not here; with any, the key is not known."""


class _Written(TypedDict):
    """What is recorded of one `Prepared`; fields as there."""

    params: dict[str, Any]
    identity: dict[str, Any]
    pins: dict[str, str]
    used: list[str]
    spared: list[str]
    resources: Resources
    workers: Annotated[int, Field(ge=1)]


class _Document(TypedDict):
    """What is recorded of a study."""

    text: str
    """Digest of its text."""
    stages: dict[str, list[tuple[list[int], _Written]]]
    """Stage -> places of axis values, and what was prepared for them."""
    data: NotRequired[dict[str, Stamp]]
    """Path -> what the user's data there were; older files lack it."""


_DOCUMENT = TypeAdapter(_Document)


@dataclass(frozen=True)
class RecordedParams:
    """The prepared params of a study, as its last launch recorded them."""

    stages: Mapping[str, Mapping[Row, _Written]] = field(default_factory=dict)
    """Stage -> places of the values of the axes that its params name -> what was prepared."""
    data: Mapping[str, Stamp] = field(default_factory=dict)
    """Path -> what the user's data there were."""

    def find(self, stage: str, row: Row, kind: Kind[Params]) -> Prepared | None:
        """Return what was recorded for one cell; None where nothing was, or nothing that fits now.

        Args:
            stage: name of the stage.
            row: places of the values of the axes that its params name.
            kind: its kind, as it is now.
        """
        recorded = self.stages.get(stage, {}).get(row)
        if recorded is None:
            return None
        try:
            validated = kind.Params(**recorded["params"])
        except (ValidationError, UserError):
            if not any(name.startswith(PIN) for name in recorded["pins"]):
                return None
            # Valid when it was recorded; what says so may be own code that is not here.
            validated = kind.Params.model_construct(**recorded["params"])
        return Prepared(
            params=recorded["params"],
            validated=validated,
            identity=recorded["identity"],
            pins=recorded["pins"],
            used=frozenset(recorded["used"]),
            spared=frozenset(recorded["spared"]),
            resources=recorded["resources"],
            workers=recorded["workers"],
        )


def write_params(root: Storage, study: Study, stages: Mapping[str, Mapping[Row, Prepared]]) -> None:
    """Record the prepared params of a study that is launched.

    Args:
        root: the output root.
        study: the study; what is recorded holds for this text of it alone.
        stages: stage -> places of axis values -> what was prepared for them.
    """
    document = {
        "text": _digest(study),
        "stages": {
            stage: [[list(row), _written(prepared, root)] for row, prepared in rows.items()]
            for stage, rows in stages.items()
        },
        "data": stamps_of(
            {
                path
                for rows in stages.values()
                for prepared in rows.values()
                for path in ParamMarks(type(prepared.validated)).local_paths(prepared.params)
            }
        ),
    }
    root.write(_name(study.name), (json.dumps(document) + "\n").encode())


def read_params(root: Storage, study: Study) -> RecordedParams | None:
    """Read what the last launch recorded; None where it launched another text, or an old version.

    A damaged file counts as none: then the study is planned from its data.
    """
    try:
        document = read_as(root, _name(study.name), _DOCUMENT)
    except ValueError:
        return None
    if document is None or document["text"] != _digest(study):
        return None
    return RecordedParams(
        {
            stage: {tuple(row): prepared for row, prepared in rows}
            for stage, rows in document["stages"].items()
        },
        document.get("data", {}),
    )


def _written(prepared: Prepared, root: Storage) -> dict[str, object]:
    return {
        "params": as_on_hub(prepared.params, root),
        "identity": prepared.identity,
        "pins": prepared.pins,
        "used": sorted(prepared.used),
        "spared": sorted(prepared.spared),
        "resources": asdict(prepared.resources),
        "workers": prepared.workers,
    }


def _digest(study: Study) -> str:
    return digest_bytes(study.file.text.encode())


def _name(study: str) -> str:
    return f"studies/{study}/params.json"
