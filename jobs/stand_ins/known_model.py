"""What is known here of a model without loading it: its config.json, and its tokenizer."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.disk.written_path import expanded
from cluster.errors import UserError
from jobs.hub import client as hub
from jobs.models.checkpoint_files import DESCRIPTIONS, OTHER_TOKENIZERS
from jobs.models.family import names
from jobs.models.gguf.checkpoint import ENDING, check_gguf

_RELATIVES = {"pythia": "gpt_neox", "smollm": "llama", "gpt-neox": "gpt_neox", "gpt2": "gpt2"}
"""Words in names of models -> the family that they are of."""


@dataclass(frozen=True, kw_only=True)
class KnownModel:
    """What is here of a model."""

    config: Mapping[str, Any] | None = None
    """Its config.json; None where that is not here."""
    folder: Path | None = None
    """Where files of its tokenizer may lie."""
    gguf: Path | None = None
    """Its one file, where it is of that kind."""


def look_at(source: str, revision: str | None, file: str | None = None) -> KnownModel:
    """Look for a model in its folder, its file or the hub's cache. Asks no network.

    Raises:
        UserError: a `.gguf` file that cannot be read as one.
    """
    if hub.is_on_hub(source):
        wanted = (file,) if file else (*DESCRIPTIONS, *OTHER_TOKENIZERS)
        folder = hub.cached(source, revision, wanted)
        if folder is None:
            return KnownModel()
        if file is not None:
            return _gguf(folder / file, source)
        return KnownModel(config=_config(folder), folder=folder)
    path = expanded(source)
    if path.name.endswith(ENDING):
        return _gguf(path, source)
    return KnownModel(config=_config(path), folder=path)


def guessed_family(source: str) -> str:
    """Guess the family of a model that nothing here describes from its name; `llama` if need be."""
    name = source.lower()
    families = {family.replace("_text", ""): family for family in names()}
    for word, family in {**_RELATIVES, **families}.items():
        if word in name and family in names():
            return family
    return "llama"


def _gguf(path: Path, where: str) -> KnownModel:
    if not path.is_file():
        return KnownModel()
    return KnownModel(config=check_gguf(path, where), gguf=path)


def _config(folder: Path) -> Mapping[str, Any] | None:
    with suppress(OSError, ValueError):
        config = json.loads((folder / "config.json").read_bytes())
        if isinstance(config, dict):
            return config
    return None


def require_readable(folder: Path, where: str) -> None:
    """Raise UserError for a folder that is there and may not be read."""
    try:
        list(folder.iterdir())
    except PermissionError as error:
        raise UserError(
            "you may not read this folder", where=where, hint="ask its owner for read access"
        ) from error
    except OSError:
        return
