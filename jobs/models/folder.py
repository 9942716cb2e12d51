"""Checks a checkpoint folder in the hub's layout, without torch; nothing is ever unpickled.

Every fault of a folder is one UserError that names the folder and the file.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from cluster.errors import UserError
from jobs.models.family import family_of_config
from jobs.models.shape import ConfigMapping

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
DESCRIPTIONS = (
    "added_tokens.json",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
)
"""Files beside the weights that a checkpoint may hold; no other file is ever taken."""

_VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json")
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_MOST_NAMES_SHOWN = 8


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
    total, _ = family_of_config(config, where).num_parameters(config)
    _check_weights(folder, total, where)
    _check_tokenizer(folder, config, where)
    return config


def read_config(folder: Path, where: str | None = None) -> ConfigMapping:
    """Read the mapping in config.json. Raises UserError for an unsupported or quantised model."""
    where = where or str(folder)
    config = read_json_object(folder / "config.json", where)
    family_of_config(config, where)
    if "quantization_config" in config:
        raise UserError(
            "the weights are quantised, which rounds the differences that are to be measured",
            where=where,
            hint="use the checkpoint that they were made from",
        )
    return config


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
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    if (folder / INDEX).is_file():
        shards = sorted(set(_weight_map(folder, where).values()))
        return [INDEX, *shards]
    raise no_safetensors([path.name for path in folder.glob("*")], where)


def no_safetensors(names: Iterable[str], where: str) -> UserError:
    """Make the fault for a folder or repository without safetensors: what it holds, what to do."""
    names = sorted(names)
    pickled = [name for name in names if name.endswith(_PICKLED)]
    if "adapter_config.json" in names:
        hint = "this is an adapter: kind `adapter` merges it into its base"
    elif pickled:
        hint = (
            f"{pickled[0]} is a pickle, which can run code when it is opened; if you trust it, "
            "convert it once with AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW)"
        )
    else:
        hint = "save a model there with save_pretrained"
    return UserError(
        f"no safetensors weights: found {_first_names(names)}",
        where=where,
        allowed=[WEIGHTS, INDEX],
        hint=hint,
    )


def _content(folder: Path) -> str:
    return _first_names(sorted(path.name for path in folder.glob("*")))


def _first_names(names: Sequence[str]) -> str:
    first = ", ".join(names[:_MOST_NAMES_SHOWN]) or "nothing"
    more = len(names) - _MOST_NAMES_SHOWN
    return f"{first} and {more} more" if more > 0 else first


def read_json_object(path: Path, where: str) -> ConfigMapping:
    """Read a file of a checkpoint that holds a JSON object.

    Raises:
        UserError: there is no such file, or it holds anything else.
    """
    if not path.is_file():
        raise UserError(f"no {path.name}: found {_content(path.parent)}", where=where)
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
        raise UserError(f"{path.name} is not JSON: {error}", where=where) from error
    if not isinstance(mapping, dict):
        raise UserError(f"{path.name} holds no JSON object", where=where)
    return mapping


def _weight_map(folder: Path, where: str) -> dict[str, str]:
    listed = read_json_object(folder / INDEX, where).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise UserError(f"{INDEX} has no weight_map", where=where)
    for name in sorted(set(map(str, listed.values()))):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise UserError(f"{INDEX} names {name!r}, which is no safetensors file", where=where)
        if not (folder / name).is_file():
            raise UserError(f"{name} is missing, which {INDEX} lists", where=where)
    return listed


def _check_weights(folder: Path, num_parameters: int, where: str) -> None:
    names = weight_files(folder, where)
    held = {name: tensor_sizes(folder / name, where) for name in names if name != INDEX}
    if INDEX in names:
        for tensor, name in _weight_map(folder, where).items():
            if tensor not in held[name]:
                raise UserError(f"{name} lacks {tensor}, which {INDEX} places there", where=where)
    # More is possible: masks that old checkpoints keep, or tied weights saved twice.
    stored = sum(sum(sizes.values()) for sizes in held.values())
    if stored < num_parameters:
        raise UserError(
            f"the weights hold {stored:,} numbers and config.json describes {num_parameters:,}",
            where=where,
        )


def tensor_sizes(path: Path, where: str) -> dict[str, int]:
    """Map tensors to their numbers of entries, from the header, which tells the file's length."""
    import math

    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as tensors:
            names = tensors.keys()
            return {name: math.prod(tensors.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path.name} is broken or cut off: {error}", where=where) from error


def _check_tokenizer(folder: Path, config: ConfigMapping, where: str) -> None:
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        raise UserError(
            f"no tokenizer: found {_content(folder)}",
            where=where,
            allowed=_VOCABULARIES,
            hint="save the model's tokenizer beside it with save_pretrained",
        )
    if not (folder / "tokenizer.json").is_file():
        return
    read_json_object(folder / "tokenizer.json", where)
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises bare Exception
        raise UserError(f"tokenizer.json is not a tokenizer: {error}", where=where) from error
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
    vocab_size = config.get("vocab_size")
    if isinstance(vocab_size, int) and largest >= vocab_size:
        raise UserError(
            f"the tokenizer has token ids up to {largest}, the model only {vocab_size} rows",
            where=where,
        )
