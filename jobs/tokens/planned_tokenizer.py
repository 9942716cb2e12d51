"""The tokenizer of a model that is not made yet, as far as this machine has it already.

It is that of the folder or the `.gguf` file, or of the copy in the hub's cache, which the model
descends from; an adapter's own comes before its base's. Nothing is downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

from cluster.disk.temp_folders import TempFolder
from cluster.disk.written_path import expanded
from cluster.errors import DeltascaleError, UserError
from jobs.artifacts.artifact import digest_file
from jobs.hub import client as hub
from jobs.kind import KINDS, Kind, Upstream
from jobs.models.checkpoint_files import DESCRIPTIONS, TOKENIZER, TOKENIZER_FILES
from jobs.models.family import family_of_config
from jobs.models.folder import read_config
from jobs.models.gguf.checkpoint import ENDING, check_gguf, write_tokenizer
from jobs.models.gguf.header import read_header
from jobs.models.gguf.tokenizer import build_tokenizer
from jobs.models.loading import describe_model, load_tokenizer_with
from jobs.models.model_source import ModelSource
from jobs.models.shape import Shape
from jobs.tokens.joining import bare

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

_PARENTS = ("model", "base")
"""Inputs under which a model reads the one that its tokenizer comes from."""

Stamp = tuple[Path, int, int]
"""A file, its size and its time of change."""


@dataclass(frozen=True, kw_only=True)
class PlannedTokenizer:
    """Where the tokenizer of a model lies that is not made yet."""

    folder: Path
    """Folder of its files, or the `.gguf` file that holds it."""
    model: Path
    """Folder of the config of the model, or the `.gguf` file that is the model."""
    stamps: tuple[Stamp, ...]
    """Its files: what is known of it holds while these are equal."""

    @property
    def num_rows(self) -> int:
        """Rows of the model's embedding. Raises UserError where its config cannot be read."""
        return _known(self.model).shape.vocab_size

    @property
    def max_positions(self) -> int:
        """Longest text of the model. Raises UserError where its config cannot be read."""
        return _known(self.model).shape.max_positions

    @property
    def facts(self) -> Mapping[str, object]:
        """Facts of the model. Raises UserError where its config cannot be read."""
        return _known(self.model).facts

    @property
    def config(self) -> Mapping[str, Any]:
        """What the model's config says. Raises UserError where it cannot be read."""
        return _known(self.model).config

    @property
    def is_larger(self) -> bool:
        """True when it has tokens that the model has no row for; no `.gguf` file passes so."""
        if _is_gguf(self.folder):
            return False
        return _largest_added(*_stamp(self.folder / TOKENIZER)) >= self.num_rows

    def load(self) -> PreTrainedTokenizerFast:
        """Load it, once for all jobs. Raises UserError where it cannot be read."""
        return _load(self)

    def bare(self) -> Tokenizer:
        """Read what makes its tokens, without transformers. Raises UserError where it cannot."""
        if _is_gguf(self.folder):
            return _bare_of_gguf(*_stamp(self.folder))
        return _bare(*_stamp(self.folder / TOKENIZER))

    def has_files_of(self, other: PlannedTokenizer) -> bool:
        """Tell whether another one is written in the same bytes."""
        return self.folder == other.folder or self._digests() == other._digests()

    def _digests(self) -> dict[str, str]:
        if _is_gguf(self.folder):
            return {ENDING: _digest_in_gguf(*self.stamps[0])}
        return {stamp[0].name: _digest(*stamp) for stamp in self.stamps}


def _is_gguf(place: Path) -> bool:
    """Tell a file, which holds model and tokenizer, from a folder of a checkpoint."""
    return not place.is_dir()


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What the config of a model says."""

    config: Mapping[str, Any]
    """All of it."""
    shape: Shape
    """Its sizes."""

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """Facts of the model."""
        return describe_model(self.config)


def _known(model: Path) -> _Known:
    """Read what a config says, once for all jobs. Raises UserError where it cannot be read."""
    file = model if _is_gguf(model) else model / "config.json"
    return _read_known(model, *_stamp(file)) if file.is_file() else _described(model)


@lru_cache(maxsize=256)
def _read_known(model: Path, file: Path, size: int, modified_ns: int) -> _Known:
    return _described(model)


def _described(model: Path) -> _Known:
    config = check_gguf(model, str(model)) if _is_gguf(model) else read_config(model)
    return _Known(config=config, shape=family_of_config(config).shape(config))


def planned_config(model: Upstream) -> Mapping[str, Any] | None:
    """Return the config, in our fields, of a model whose files are here; None of any other."""
    try:
        place = _place(model)
        fields: Mapping[str, Any] | None = None if place is None else _known(place).facts["config"]
        return fields
    except (DeltascaleError, OSError, ValueError):
        return None  # whoever takes the model says what is wrong with it


def _stamp(file: Path) -> Stamp:
    state = file.stat()
    return file, state.st_size, state.st_mtime_ns


@lru_cache(maxsize=16)
def _load(planned: PlannedTokenizer) -> PreTrainedTokenizerFast:
    model, owner = planned.model, planned.folder
    if not _is_gguf(model):
        return load_tokenizer_with(model, owner)
    with TempFolder("tokenizer") as made:
        (made / "config.json").write_text(json.dumps(dict(_known(model).config)), encoding="utf-8")
        if _is_gguf(owner):
            write_tokenizer(owner, made, str(owner))
        return load_tokenizer_with(made, made if _is_gguf(owner) else owner)


@lru_cache(maxsize=4)
def _bare(file: Path, size: int, modified_ns: int) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        return bare(Tokenizer.from_file(str(file)))
    except Exception as error:  # the library raises bare Exception
        raise UserError(f"{TOKENIZER} is not a tokenizer: {error}", where=str(file)) from error


@lru_cache(maxsize=4)
def _bare_of_gguf(file: Path, size: int, modified_ns: int) -> Tokenizer:
    return bare(build_tokenizer(read_header(file, str(file))))


@lru_cache(maxsize=16)
def _digest_in_gguf(file: Path, size: int, modified_ns: int) -> str:
    """Digest what a `.gguf` file says of its tokenizer: the file itself is gigabytes."""
    settings = read_header(file, str(file)).settings
    said = {name: settings[name] for name in settings if name.startswith("tokenizer.")}
    text = json.dumps([said, settings.get("general.name")], sort_keys=True)
    return xxhash.xxh3_64(text.encode()).hexdigest()


@lru_cache(maxsize=256)
def _digest(file: Path, size: int, modified_ns: int) -> str:
    return digest_file(file)


@lru_cache(maxsize=256)
def _largest_added(file: Path, size: int, modified_ns: int) -> int:
    """Return the largest id among a tokenizer's added tokens."""
    listed = json.loads(file.read_text(encoding="utf-8"))
    return max((token.get("id", 0) for token in listed.get("added_tokens") or ()), default=0)


def planned_tokenizer(model: Upstream | None) -> PlannedTokenizer | None:
    """Return the tokenizer that a model will have; None where it is not here, or not made yet.

    None, too, where it cannot be read: the job that takes the model says what is wrong with it.
    """
    owner: Path | None = None
    while model is not None:
        place = _place(model)
        if owner is None and place is not None and _holds_tokenizer(place):
            owner = place
        parent = next((name for name in _PARENTS if name in model.inputs), None)
        if parent is None:
            return _checked(owner, place)
        model = model.inputs[parent]
    return None


def _holds_tokenizer(place: Path) -> bool:
    return _is_gguf(place) or (place / TOKENIZER).is_file()


def _checked(owner: Path | None, model: Path | None) -> PlannedTokenizer | None:
    if owner is None or model is None:
        return None
    files = [owner] if _is_gguf(owner) else [owner / name for name in TOKENIZER_FILES]
    try:
        stamps = tuple(_stamp(file) for file in files if file.is_file())
        planned = PlannedTokenizer(folder=owner, model=model, stamps=stamps)
        return planned if planned.num_rows else None
    except (DeltascaleError, OSError):
        return None


def fault_of_tokenizer(source: ModelSource) -> UserError | None:
    """Return what is wrong with the `tokenizer.json` of a source; None where it is not here.

    Of a `.gguf` file in the hub's cache, what is wrong with the file: a local one is checked where
    it is pinned.
    """
    place = place_of(source)
    if place is None or not _holds_tokenizer(place):
        return None
    try:
        if _is_gguf(place):
            check_gguf(place, source.name)
            return None
        planned = _checked(place, place)
        if planned is not None and _may_disagree(place):
            planned.load()
    except UserError as fault:
        return fault
    return None


def _may_disagree(folder: Path) -> bool:
    """Tell whether settings name tokens that `tokenizer.json` lacks; transformers adds those."""
    try:
        own = json.loads((folder / TOKENIZER).read_text(encoding="utf-8"))
        known = {token["content"] for token in own["added_tokens"]}
        texts = [folder / name for name in _SETTINGS if (folder / name).is_file()]
        listed = [json.loads(file.read_text(encoding="utf-8")) for file in texts]
    except (ValueError, LookupError, TypeError, OSError):
        return True  # whatever is wrong, loading says it
    return not known.issuperset(token for each in listed for token in _tokens_of(each))


_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json")


def _tokens_of(setting: Any, name: str = "") -> Iterator[str]:
    """Yield the tokens that are named anywhere in settings."""
    if isinstance(setting, str):
        if name == "content" or name.endswith(("_token", "_tokens")):
            yield setting
    elif isinstance(setting, list):
        for each in setting:
            yield from _tokens_of(each, name)
    elif isinstance(setting, dict):
        for key, each in setting.items():
            yield from _tokens_of(each, name if name.endswith("_tokens") else key)


def _place(model: Upstream) -> Path | None:
    """Return the folder or `.gguf` file outside that a job takes its model or adapter from."""
    kind = KINDS.find(model.kind)
    if not kind.overrides(Kind.source):  # most have none, and params take long to check
        return None
    source = kind.source(kind.Params(**model.params))
    return None if source is None else place_of(source)


def place_of(source: ModelSource) -> Path | None:
    """Return the folder or `.gguf` file of a source; None where it is not on this machine."""
    if not hub.is_on_hub(source.name):
        place = expanded(source.name)
        return place if place.is_dir() == (source.file is None) and place.exists() else None
    wanted = DESCRIPTIONS if source.file is None else (source.file,)
    folder = hub.cached(source.name, source.revision, wanted)
    if folder is None or source.file is None:
        return folder
    return folder / source.file if (folder / source.file).is_file() else None
