"""`Study`: a question asked over a grid, read from one YAML file and checked name by name."""

import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import ValidationError

from cluster.disk.written_path import absolute, expanded
from cluster.errors import UserError, unknown_name
from jobs.artifacts.job import Scalar
from orchestrator.study.names import require_name, require_value_name, value_name
from orchestrator.study.pydantic_errors import user_error
from orchestrator.study.study_fields import StageFields, StudyFields
from orchestrator.study.study_file import StudyFile, parse_study_file, read_study_file

InSmall = Callable[[str, Mapping[str, Any], Callable[[str], bool]], dict[str, Any]]
"""(stage, its params in one cell, whether a file is data that are not here) -> params of a job."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One direction of the grid."""

    name: str
    """Its name."""
    values: Mapping[str, object]
    """Name of a value -> the value: a scalar, or a mapping with a name; in the file's order."""

    def value_of(self, name: str) -> Scalar:
        """Return the value of this name as the file wrote it; of a mapping, its own `name`."""
        value = self.values[name]
        return cast(Scalar, value["name"] if isinstance(value, Mapping) else value)

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Name of a value -> its position."""
        return {name: position for position, name in enumerate(self.values)}


@dataclass(frozen=True, kw_only=True)
class StageInput:
    """Where one input of a stage comes from."""

    stage: str
    """Stage whose jobs are taken."""
    pins: Mapping[str, str] = field(default_factory=dict)
    """Axis -> the one value taken; pinned axes are not inherited."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One kind of job over cells of the grid."""

    name: str
    """Its name."""
    kind: str
    """Kind of its jobs."""
    over: tuple[str, ...]
    """Axes it adds to those of its inputs."""
    inputs: Mapping[str, StageInput]
    """Input name -> where it comes from."""
    gather: tuple[str, ...]
    """Stages of which it takes all jobs."""
    per: tuple[str, ...]
    """Axes that a gathering stage keeps."""
    where: tuple[Mapping[str, frozenset[str]], ...]
    """A cell is kept when it matches any of these: axis -> accepted values. Empty: all are kept."""
    params: Mapping[str, Any]
    """As written, expressions included."""
    keep: Literal["always", "until-read"] = "always"
    """How long the large files of its jobs are kept."""

    @property
    def upstream(self) -> tuple[str, ...]:
        """Stages whose jobs it reads."""
        return (*self.gather, *(source.stage for source in self.inputs.values()))


@dataclass(frozen=True, kw_only=True)
class Study:
    """A question asked over a grid."""

    name: str
    """Its name, and that of its folder under the root."""
    file: StudyFile
    """The text it was read from."""
    folder: Path
    """Against which its relative paths resolve."""
    axes: Mapping[str, Axis]
    """Axes by name, in the file's order."""
    stages: Mapping[str, Stage]
    """Stages by name, in the file's order."""

    data: Mapping[str, str] = field(default_factory=dict)
    """Path below the data folder, or as params write it -> where it is to be had."""
    entries: Path | None = None
    """Folder of its own entries; None where it brings none."""
    in_small: InSmall | None = None
    """What becomes of the params of its jobs in a rehearsal; None where it is run as it is."""
    recorded_in: str | None = None
    """URL of the root whose record of the study this is; None where its own file was read."""

    @property
    def words(self) -> str:
        """How a command names it: by its file, or by its name where that was opened."""
        return shlex.quote(self.file.name if self.recorded_in is None else self.name)

    def where(self, *place: str | int) -> str:
        """`file:line` of a place in the study file."""
        return self.file.where(*place)

    def whence(self, path: str) -> str | None:
        """Return where a file or folder of the user's data is to be had; None if nothing says."""
        for written, text in self.data.items():
            place = os.path.normpath(self.folder / os.path.expanduser(written))
            if path.endswith(f"/{written}") or f"{path}/".startswith(f"{place}/"):
                return text
        return None


def load_study(path: str | Path) -> Study:
    """Read the study in a file. Raises UserError with file and line."""
    path = Path(path)
    return study_of(read_study_file(path), absolute(path, what="the study").parent)


def parse_study(text: str, *, name: str = "study.yaml", folder: Path | None = None) -> Study:
    """Read the study in a text; messages call it `name`, and its paths start at `folder`."""
    return study_of(parse_study_file(text, name), folder or Path.cwd())


def study_of(file: StudyFile, folder: Path) -> Study:
    """Check a parsed file and make the study that it describes."""
    if not isinstance(file.data, dict):
        raise UserError(
            "a study file is a mapping",
            where=file.where(),
            allowed=StudyFields.model_fields,
            hint="`deltascale new my-study.yaml` writes one to start from",
        )
    try:
        fields = StudyFields.model_validate(file.data)
    except ValidationError as fault:
        raise user_error(
            fault, StudyFields, file.data, "field", lambda place: file.where(*place)
        ) from None
    require_name("the study's name", fields.study, file.where("study"))
    axes = {name: _axis(name, values, file) for name, values in fields.axes.items()}
    stages = {name: _stage(name, stage, axes, file) for name, stage in fields.stages.items()}
    written = fields.entries
    return Study(
        name=fields.study,
        file=file,
        folder=folder,
        axes=axes,
        stages=stages,
        data=fields.data,
        entries=None if written is None else _entries_folder(written, folder, file),
    )


def _entries_folder(written: str, folder: Path, file: StudyFile) -> Path:
    if "://" in written or "${" in written:
        raise UserError(
            f"`entries` is a folder of this machine, not {written!r}", where=file.where("entries")
        )
    return Path(os.path.normpath(folder / expanded(written, where=file.where("entries"))))


def _axis(name: str, values: list[object], file: StudyFile) -> Axis:
    require_name("the axis", name, file.where("axes", name))
    if not values:
        raise UserError(f"the axis {name!r} has no values", where=file.where("axes", name))
    by_label: dict[str, object] = {}
    for position, value in enumerate(values):
        where = file.where("axes", name, position)
        label = _value_label(name, value, where)
        if label in by_label:
            raise UserError(f"the axis {name!r} has the value {label!r} twice", where=where)
        by_label[label] = value
    return Axis(name=name, values=by_label)


def _value_label(axis: str, value: object, where: str) -> str:
    label = value.get("name") if isinstance(value, dict) else value
    if label is None or isinstance(label, (dict, list)):
        raise UserError(
            f"a value of the axis {axis!r} must be a scalar, or a mapping with a name", where=where
        )
    return require_value_name(f"the value of axis {axis!r}", value_name(label), where)


def _stage(name: str, fields: StageFields, axes: Mapping[str, Axis], file: StudyFile) -> Stage:
    place = ("stages", name)
    require_name("the stage", name, file.where(*place))
    for field_name in ("over", "per", "gather"):
        _require_once(field_name, getattr(fields, field_name), file.where(*place, field_name))
    for field_name in ("over", "per"):
        for axis in getattr(fields, field_name):
            require_axis(axis, axes, file.where(*place, field_name))
    inputs = {}
    for input_name, source in fields.inputs.items():
        where = file.where(*place, "inputs", input_name, "where")
        pins = {
            axis: _require_value(axis, value, axes, where) for axis, value in source.where.items()
        }
        inputs[input_name] = StageInput(stage=source.stage, pins=pins)
    where = file.where(*place, "where")
    picks = tuple(
        {
            axis: frozenset(_require_value(axis, value, axes, where) for value in values)
            for axis, values in pick.items()
        }
        for pick in fields.where
    )
    return Stage(
        name=name,
        kind=fields.kind.replace("_", "-"),
        over=tuple(fields.over),
        inputs=inputs,
        gather=tuple(fields.gather),
        per=tuple(fields.per),
        where=picks,
        params=fields.params,
        keep=fields.keep,
    )


def require_axis(name: str, axes: Mapping[str, Axis], where: str) -> Axis:
    """Return the axis of this name. Raises UserError with the nearest match."""
    if name not in axes:
        raise unknown_name("axis", name, axes, where=where)
    return axes[name]


def _require_value(axis: str, value: object, axes: Mapping[str, Axis], where: str) -> str:
    name = value_name(value)
    values = require_axis(axis, axes, where).values
    if name not in values:
        raise unknown_name(f"value of axis {axis!r}", name, values, where=where)
    return name


def _require_once(field_name: str, names: Iterable[str], where: str) -> None:
    earlier: set[str] = set()
    for name in names:
        if name in earlier:
            raise UserError(f"`{field_name}` names {name!r} twice", where=where)
        earlier.add(name)
