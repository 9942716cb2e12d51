"""The part of a job's params that is identity: what changes a number, with files as digests.

Execution params stay out. So does a model's folder, which the kind's pins digest; an `hf://` source
stays in. A param that names a file or folder is replaced by the digest of its bytes, so that keys
follow bytes and not paths.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cluster.errors import UserError
from jobs.artifacts.identity import canonical_json
from jobs.door import Door
from jobs.params import Chooses, HasSettings, Params, deciding_params, marked
from jobs.sources.path_digests import digest_paths
from jobs.sources.plain_files import require_plain
from orchestrator.study.expressions import DATA_FOLDER
from orchestrator.study.study_file import Place

Where = Callable[[Place], str]
"""`file:line` of a place inside the params, and the cell where that matters."""


class ParamMarks:
    """What the declarations of a kind's params say about paths, sources and execution."""

    def __init__(self, params: type[Params]) -> None:
        self._paths = marked(params, "path")
        self._sources = marked(params, "model_source")
        self._params = params
        self._choices: dict[str, Door[HasSettings]] = {
            name: mark.door
            for name, declared in params.model_fields.items()
            for mark in declared.metadata
            if isinstance(mark, Chooses)
        }

    def resolve_paths(self, raw: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """Return params as written, with local paths resolved against the study's folder."""
        resolved = dict(raw)
        for name in (*self._paths, *self._sources):
            if name in raw:
                resolved[name] = _resolve(raw[name], folder)
        for name, door in self._choices.items():
            for setting in _marked_settings(door, raw.get(name), "model_source"):
                path = _resolve(raw[name][setting], folder)
                resolved[name] = {**resolved[name], setting: path}
        return resolved

    def replace_paths(
        self, resolved: Mapping[str, Any], replace: Callable[[str], str]
    ) -> dict[str, Any]:
        """Return params with every path of data, alone or in a list, as `replace` gives it."""
        given = {name: resolved[name] for name in self._paths if name in resolved}
        return {**resolved, **{name: _replaced(value, replace) for name, value in given.items()}}

    def local_paths(self, resolved: Mapping[str, Any]) -> set[str]:
        """Return the files and folders of this machine that params name, data and models alike."""
        values = [resolved.get(name) for name in (*self._paths, *self._sources)]
        for name, door in self._choices.items():
            settings = _marked_settings(door, resolved.get(name), "model_source")
            values += [resolved[name][setting] for setting in settings]
        texts = (
            text for value in values for text in (value if isinstance(value, list) else [value])
        )
        return {text for text in texts if isinstance(text, str) and text and "://" not in text}

    def check_paths(self, resolved: Mapping[str, Any]) -> None:
        """Raise UserError, named after the param, for a path that must not be read or walked."""
        for name in (*self._paths, *self._sources):
            _check_paths(resolved.get(name), name)
        for name in self._sources:
            _check_encoding(resolved.get(name), name)
        for name, door in self._choices.items():
            for setting in _marked_settings(door, resolved.get(name), "model_source"):
                _check_paths(resolved[name][setting], f"{name}.{setting}")
                _check_encoding(resolved[name][setting], f"{name}.{setting}")

    def identity(self, written: Mapping[str, object], where: Where) -> dict[str, object]:
        """Return the part of written-out params that is identity.

        Args:
            written: params as JSON, defaults written out, paths resolved.
            where: `file:line` of a place inside the params.

        Raises:
            UserError: a file cannot be read, or a value has no canonical form.
        """
        left_out = _local(written, self._sources)
        identity = {
            name: value
            for name, value in deciding_params(self._params, written).items()
            if name not in left_out
        }
        for name, door in self._choices.items():
            if name in identity:
                identity[name] = _identity_of_choice(door, written[name])
        for name in identity.keys() & set(self._paths):
            try:
                identity[name] = digest_paths(identity[name])
            except UserError as fault:
                raise fault.at(where((name,))) from None
        try:
            canonical_json(identity)
        except (TypeError, ValueError) as error:
            raise UserError(f"a param has no exact form: {error}", where=where(())) from None
        return identity


def _local(written: Mapping[str, object], sources: Iterable[str]) -> set[str]:
    """Return the names of the sources that are folders, not `hf://` names."""
    return {name for name in sources if "://" not in str(written[name])}


def _identity_of_choice(door: Door[HasSettings], chosen: Any) -> Any:
    """Return a chosen entry with those of its settings that are identity."""
    settings = _settings(door, chosen)
    if settings is None:
        return chosen
    left_out = _local(chosen, _marked_settings(door, chosen, "model_source"))
    kept = deciding_params(settings, chosen)
    identity = {name: value for name, value in kept.items() if name not in left_out}
    # Before any setting was added, such an entry was written as its name alone.
    is_bare = set(marked(settings, "added")) == settings.model_fields.keys()
    return chosen["name"] if is_bare and identity.keys() == {"name"} else identity


def _settings(door: Door[HasSettings], chosen: object) -> type[BaseModel] | None:
    """Return the class of a chosen entry's settings; None where it is chosen by name alone."""
    if not isinstance(chosen, dict) or chosen.get("name") not in door.names():
        return None
    return door.find(chosen["name"]).Params


def _marked_settings(door: Door[HasSettings], chosen: Any, mark: str) -> list[str]:
    """List the settings of a chosen entry that are given and whose declaration has a mark."""
    settings = _settings(door, chosen)
    return [] if settings is None else [name for name in marked(settings, mark) if name in chosen]


def _resolve(value: object, folder: Path) -> object:
    """Resolve a local path, or a list of them, against a folder; URLs stay as they are.

    So does a path in a data folder that is not known.
    """
    if isinstance(value, list):
        return [_resolve(item, folder) for item in value]
    if not isinstance(value, str) or "://" in value or value.startswith(DATA_FOLDER):
        return value
    return os.path.normpath(os.path.join(folder, os.path.expanduser(value)))


def _replaced(value: object, replace: Callable[[str], str]) -> object:
    if isinstance(value, list):
        return [_replaced(item, replace) for item in value]
    return replace(value) if isinstance(value, str) else value


def _check_paths(value: object, where: str) -> None:
    if isinstance(value, list):
        for item in value:
            _check_paths(item, where)
    elif isinstance(value, str) and not value.startswith(DATA_FOLDER):
        try:
            require_plain(value)
        except UserError as fault:
            raise fault.at(where) from None


def _check_encoding(value: object, where: str) -> None:
    """Raise UserError for a model whose path libraries of models do not open."""
    try:
        if isinstance(value, str):
            value.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(
            f"the path {value!r} is not UTF-8",
            where=where,
            hint="rename its folders, or name a link to it whose path is",
        ) from None
