"""Checks a checkpoint folder in the hub's layout, without torch; nothing is ever unpickled.

Every fault of a folder is one UserError that names the folder and the file.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.errors import SurroundingsError, UserError
from cluster.fault_classes import FaultClass
from jobs.models.checkpoint_files import DESCRIPTIONS, INDEX, WEIGHTS
from jobs.models.family import Family, family_of_config
from jobs.models.file_content import half_downloads, require_content
from jobs.models.foreign_layouts import first_names, no_safetensors, telling_name, way_on
from jobs.models.own_tokenizer import convert, refuse_drawn_ids
from jobs.models.shape import ConfigMapping
from jobs.models.surplus_weights import refuse_surplus
from jobs.models.weight_copies import refuse_another_head, refuse_two_saves
from jobs.models.weight_names import plain_names, rename_in_index, rename_weights, wrapping
from jobs.sources.disk_fault import fault_of_disk
from jobs.sources.placeholders import answered_instead, require_target

if TYPE_CHECKING:
    from tokenizers import Tokenizer


_VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json")
_QUANTISED_FILES = ("quantize_config.json", "quant_config.json", "hf_quant_config.json")
_QUANTISED = "the weights are quantised{how}, which rounds the differences that are to be measured"
_UNQUANTISED = "use the checkpoint that they were made from"
_WEIGHT_DTYPES = ("F64", "F32", "F16", "BF16")
_LONGEST_NAME = 200
"""Characters of a file name; file systems take 255 bytes."""
_FEW = 2
"""Entries of an object that is no more than a server's word of an error."""
_DEEP = "it is nested too deeply"
_SEES_ALL = {"is_causal": False, "use_bidirectional_attention": True}
"""Settings of models that were made of language models to embed texts."""


def check_model_folder(folder: Path, where: str | None = None) -> ConfigMapping:
    """Check config, weights and tokenizer of a folder; return the mapping in its config.json.

    Args:
        folder: the checkpoint.
        where: its name in errors; its path when None.

    Raises:
        UserError: the first thing that is missing, broken, cut off, or not supported.
    """
    where = where or str(folder)
    config = read_config(folder, where)
    family = family_of_config(config, where)
    _check_weights(folder, family, config, where)
    _check_tokenizer(folder, family, config, where)
    return config


def unwrap_weights(folder: Path, where: str) -> str | None:
    """Give the weights of a folder the names that their family knows, in place.

    Returns:
        What was taken away from the names; None where nothing was.

    Raises:
        UserError: what to take away is not certain, or the folder is no checkpoint.
    """
    config = read_config(folder, where)
    family = family_of_config(config, where)
    files = [name for name in weight_files(folder, where) if name != INDEX]
    names = {tensor for file in files for tensor in read_tensors(folder / file, where)}
    renaming = plain_names(names, family, where, tied=family.shape(config).tie)
    if renaming is None:
        return None
    for file in files:
        rename_weights(folder / file, renaming)
    if (folder / INDEX).is_file():
        rename_in_index(folder / INDEX, renaming)
    return wrapping(names, renaming)


def read_config(folder: Path, where: str | None = None) -> ConfigMapping:
    """Read the mapping in config.json. Raises UserError for an unsupported or quantised model."""
    where = where or str(folder)
    config = read_json_object(folder / "config.json", where)
    family_of_config(config, where)
    refuse_quantised(folder, config, where)
    _require_causal(config, where)
    return config


def _require_causal(config: ConfigMapping, where: str) -> None:
    """Raise UserError for a language model that was made to embed texts."""
    said = next((name for name, value in _SEES_ALL.items() if config.get(name) is value), None)
    if said is not None:
        raise UserError(
            f"by its config.json ({said}) every token sees those behind it: this model embeds "
            "texts and continues none",
            where=where,
            hint="use the language model that it was made from",
        )


def refuse_quantised(folder: Path, config: ConfigMapping, where: str) -> None:
    """Raise UserError where config.json or a file beside it says that weights are quantised."""
    settings = config.get("quantization_config") or config.get("compression_config")
    files = [name for name in _QUANTISED_FILES if (folder / name).is_file()]
    if not settings and not files:
        return
    method = settings.get("quant_method") if isinstance(settings, Mapping) else None
    how = f" ({method or ', '.join(files)})" if method or files else ""
    raise UserError(_QUANTISED.format(how=how), where=where, hint=_UNQUANTISED)


def model_files(folder: Path, where: str | None = None) -> list[str]:
    """List the files of a folder that make its checkpoint, sorted."""
    described = [name for name in DESCRIPTIONS if (folder / name).is_file()]
    return sorted([*described, *weight_files(folder, where)])


def weight_files(folder: Path, where: str | None = None) -> list[str]:
    """List the safetensors files, and the index where there are several.

    Raises:
        UserError: there are none, or the index names a file that is not there.
    """
    where = where or str(folder)
    for name in (WEIGHTS, INDEX):
        require_target(folder / name, where)
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    if (folder / INDEX).is_file():
        shards = sorted(set(_weight_map(folder, where).values()))
        return [INDEX, *shards]
    names = _names_in(folder)
    told = telling_name(names)
    if told and (folder / told).is_file():
        require_content(folder / told, where)  # a pointer is to be got, not converted
    raise no_safetensors(names, where, half=half_downloads(folder))


def read_json_object(path: Path, where: str, *, hint: str | None = None) -> ConfigMapping:
    """Read a file of a checkpoint that holds a JSON object.

    Args:
        path: the file.
        where: its folder's name in errors.
        hint: what to do where there is none; None: what the other files there suggest.

    Raises:
        UserError: there is no such file, or it holds anything else.
    """
    require_target(path, where)
    if not path.is_file():
        names = _names_in(path.parent)
        raise UserError(
            f"no {path.name}: found {first_names(names)}", where=where, hint=hint or way_on(names)
        )
    require_content(path, where)
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
        raise UserError(f"{path.name} is not JSON: {error}", where=where) from error
    except RecursionError as error:
        raise UserError(f"{path.name} is not JSON: {_DEEP}", where=where) from error
    if not isinstance(mapping, dict):
        raise UserError(f"{path.name} holds no JSON object", where=where)
    if isinstance(said := mapping.get("error"), str) and len(mapping) <= _FEW:
        raise answered_instead(said.encode("utf-8", "replace"), called=path.name, where=where)
    return mapping


def _weight_map(folder: Path, where: str) -> dict[str, str]:
    listed = read_json_object(folder / INDEX, where).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise UserError(f"{INDEX} has no weight_map", where=where)
    names = sorted(set(map(str, listed.values())))
    for name in names:
        is_plain = Path(name).name == name and "\0" not in name and len(name) <= _LONGEST_NAME
        if not is_plain or not name.endswith(".safetensors"):
            raise UserError(
                f"{INDEX} names {name[:100]!r}, which is no safetensors file", where=where
            )
        require_target(folder / name, where)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        half = half_downloads(folder)
        raise UserError(
            f"{first_names(missing)} {'is' if len(missing) == 1 else 'are'} missing, "
            f"which {INDEX} lists",
            where=where,
            hint="the download did not end: start it again, it goes on there"
            if half
            else "download or copy the whole model: `hf download` fetches what is missing",
        )
    return listed


def _check_weights(folder: Path, family: Family, config: ConfigMapping, where: str) -> None:
    names = weight_files(folder, where)
    held = {name: read_tensors(folder / name, where) for name in names if name != INDEX}
    if INDEX in names:
        for tensor, name in _weight_map(folder, where).items():
            if tensor not in held[name]:
                raise UserError(f"{name} lacks {tensor}, which {INDEX} places there", where=where)
    tensors = {name: tensor for file in held.values() for name, tensor in file.items()}
    if len(tensors) < sum(map(len, held.values())):
        twice = sorted(t for t, n in Counter(t for f in held.values() for t in f).items() if n > 1)
        raise UserError(
            f"{first_names(twice)} stand in more than one of the files that {INDEX} lists",
            where=where,
            hint="files of two saves lie in one folder: copy or download the model again",
        )
    _refuse_quantised_tensors(tensors, where)
    if INDEX not in names:
        refuse_second_save(folder, where)
    plain_names(tensors.keys(), family, where, tied=family.shape(config).tie)
    sizes = {name: tensor.size for name, tensor in tensors.items()}
    stored, (num_parameters, _) = sum(sizes.values()), family.num_parameters(config)
    if stored < num_parameters:
        raise UserError(
            f"the weights hold {stored:,} numbers and config.json describes {num_parameters:,}",
            where=where,
        )
    refuse_surplus(sizes, family, config, where)
    files = {tensor: folder / name for name, kept in held.items() for tensor in kept}
    refuse_another_head(files, family, config, where)


def refuse_second_save(folder: Path, where: str) -> None:
    """Raise UserError where shards of another save lie beside the one file of all weights."""
    if (folder / WEIGHTS).is_file() and (folder / INDEX).is_file():
        listed = read_json_object(folder / INDEX, where).get("weight_map")
        if isinstance(listed, dict):
            for name in sorted({*map(str, listed.values())}):
                if (folder / name).is_file():
                    read_tensors(folder / name, where)  # whole, or said to be broken
            refuse_two_saves(folder, {str(t): str(f) for t, f in listed.items()}, where)


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """A tensor as the header of its file describes it."""

    size: int
    """Number of entries."""
    dtype: str
    """Their type, as safetensors names it: `F32`, `BF16`, `U8`."""


def read_tensors(path: Path, where: str) -> dict[str, StoredTensor]:
    """Read the names of tensors from the header, which tells the file's length, too.

    Raises:
        UserError: the file is broken.
        SurroundingsError: its disk does not answer.
    """
    from safetensors import SafetensorError, safe_open

    require_content(path, where)
    try:
        with safe_open(path, framework="np") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {
                name: StoredTensor(size=math.prod(kept.get_shape()), dtype=kept.get_dtype())
                for name, kept in slices.items()
            }
    except FileNotFoundError as error:
        # It was there a moment ago: the library says so of whatever it cannot open.
        raise SurroundingsError(
            f"{path.name} cannot be opened", where=where, fault_class=FaultClass.STORAGE_AWAY
        ) from error
    except (SafetensorError, OSError) as error:
        raise fault_of_disk(path, error) or UserError(
            f"{path.name} is broken or cut off: {error}",
            where=where,
            hint="copy or download it again",
        ) from error


def _refuse_quantised_tensors(tensors: Mapping[str, StoredTensor], where: str) -> None:
    """Raise UserError where a weight is no floating-point number of 16 bits or more."""
    for name, tensor in tensors.items():
        if name.endswith("weight") and tensor.dtype not in _WEIGHT_DTYPES:
            how = f" ({name} is {tensor.dtype})"
            raise UserError(_QUANTISED.format(how=how), where=where, hint=_UNQUANTISED)


def check_descriptions(folder: Path, names: Iterable[str], where: str) -> None:
    """Raise UserError for a file beside the weights that is not what its name says."""
    for name in names:
        require_target(folder / name, where)
        if not (folder / name).is_file():
            continue
        if name.endswith(".json"):
            read_json_object(folder / name, where)
        else:
            require_content(folder / name, where)


def _check_tokenizer(folder: Path, family: Family, config: ConfigMapping, where: str) -> None:
    check_descriptions(folder, DESCRIPTIONS, where)
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        raise UserError(
            f"no tokenizer: found {first_names(_names_in(folder))}",
            where=where,
            allowed=_VOCABULARIES,
            hint="save the model's tokenizer beside it with save_pretrained",
        )
    is_written = (folder / "tokenizer.json").is_file()
    tokenizer = _read_tokenizer(folder, where) if is_written else convert(folder, where)
    refuse_drawn_ids(tokenizer, where)
    _check_ids(tokenizer, family.shape(config).vocab_size, where)


def _read_tokenizer(folder: Path, where: str) -> "Tokenizer":
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises bare Exception
        raise UserError(f"tokenizer.json is not a tokenizer: {error}", where=where) from error


def _check_ids(tokenizer: "Tokenizer", num_rows: int, where: str) -> None:
    """Raise UserError where usual text would use ids that the model has no row for.

    Tokens that were added (Gemma 3's image, a token for padding) may lie beyond the rows: whoever
    makes tokens refuses a text that uses one.
    """
    added = tokenizer.get_added_tokens_decoder().keys()
    ids = set(tokenizer.get_vocab(with_added_tokens=True).values()) - added
    largest = max(ids, default=0)
    if largest >= num_rows:
        raise UserError(
            f"the tokenizer has token ids up to {largest}, the model only {num_rows} rows",
            where=where,
            hint="the tokenizer is another model's, or the embedding was cut: save the model's own "
            "tokenizer beside it",
        )


def _names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))
