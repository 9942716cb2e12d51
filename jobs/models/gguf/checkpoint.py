"""A `.gguf` file as a checkpoint in the hub's layout: what is checked at planning, and the making.

Every weight is unpacked to the 32-bit number that its block stands for, so that whatever reads the
checkpoint sees an ordinary model of fp32 weights. Its config.json says how they were stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.errors import UserError
from jobs.models.family import family_of_config
from jobs.models.gguf.architecture import config_of
from jobs.models.gguf.header import GgufHeader, read_header
from jobs.models.gguf.stored_types import described, is_quantised, require_library, require_whole
from jobs.models.gguf.tokenizer import check_tokenizer, gguf_tokenizer
from jobs.models.loading import SHARD_SIZE
from jobs.models.model_facts import DEQUANTISED, STORED
from jobs.models.model_source import SourceFiles

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ENDING = ".gguf"
_TOKENS = "tokenizer.ggml.tokens"


def gguf_layout(file: str) -> SourceFiles:
    """Return the layout of a folder or repository of which one `.gguf` file is the model."""

    def check(folder: Path, where: str) -> list[str]:
        if not (folder / file).exists():
            raise _absent(file, [path.name for path in folder.glob("*")], where)
        check_gguf(folder / file, where)
        return [file]

    def absent(names: Sequence[str], where: str) -> UserError:
        return _absent(file, names, where)

    return SourceFiles(wanted=(file,), check=check, weights=(file,), absent=absent)


def _absent(file: str, names: Sequence[str], where: str) -> UserError:
    there = sorted(name for name in names if name.endswith(ENDING))
    near = get_close_matches(file, there, n=1)
    return UserError(
        f"there is no {file}",
        where=where,
        allowed=there or None,
        hint=f"did you mean {near[0]!r}?" if near else None,
    )


def check_gguf(path: Path, where: str) -> dict[str, Any]:
    """Check a file as far as that can be done without torch; return the config it stands for.

    Raises:
        UserError: the first thing that is missing, broken, cut off, or not supported.
    """
    require_library(where)
    header = read_header(path, where)
    with _named(path.name, where):
        _require_model(header)
        require_whole(header)
        config = config_of(header)
        family_of_config(config).num_parameters(config)
        _require_vocabulary(header, config["vocab_size"])
        check_tokenizer(header)
    return {**config, STORED: described(header), DEQUANTISED: is_quantised(header)}


@contextmanager
def _named(name: str, where: str) -> Iterator[None]:
    """Name the file in faults that are raised about it."""
    try:
        yield
    except UserError as fault:
        raise UserError(
            f"{name}: {fault.error}", where=where, allowed=fault.allowed, hint=fault.hint
        ) from fault


def _require_model(header: GgufHeader) -> None:
    settings = header.settings
    if (parts := settings.get("split.count", 1)) > 1:
        raise UserError(
            f"it is part {settings.get('split.no', 0) + 1} of {parts}",
            hint="join the parts first: llama-gguf-split --merge FIRST-PART NEW.gguf",
        )
    if (what := settings.get("general.type", "model")) != "model":
        raise UserError(f"it holds no model but: {what}", hint="name the file of the model itself")
    if "token_embd.weight" not in header.tensors:
        raise UserError("it holds no model: there is no token_embd.weight in it")


def _require_vocabulary(header: GgufHeader, num_rows: int) -> None:
    tokens = header.settings.get(_TOKENS)
    if not isinstance(tokens, list) or not tokens:
        raise UserError("it holds no tokenizer", hint="convert it again, vocabulary and all")
    said = header.settings.get(f"{header.architecture}.vocab_size", num_rows)
    if len(tokens) > num_rows or said != num_rows:
        raise UserError(
            f"it has {len(tokens)} tokens, a vocab_size of {said} and an embedding of {num_rows} "
            "rows, which do not fit together",
            hint="its tokenizer is another model's, or its embedding was cut: convert it again",
        )


def write_checkpoint(path: Path, folder: Path, where: str) -> None:
    """Write config.json and fp32 safetensors of a file into a folder.

    Raises:
        UserError: see check_gguf; or a weight is missing or of another shape than settings say.
    """
    config = check_gguf(path, where)
    model = _load(path, config, where)
    model.save_pretrained(folder, max_shard_size=SHARD_SIZE)
    # Written as it was checked: what the library adds to it says nothing of the model.
    architectures = {"architectures": [type(model).__name__], "dtype": "float32"}
    text = json.dumps({**architectures, **config}, indent=2, sort_keys=True) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")


def write_tokenizer(path: Path, folder: Path, where: str) -> None:
    """Write the tokenizer of a file into a folder. Raises UserError where it cannot be built."""
    header = read_header(path, where)
    with _named(path.name, where):
        gguf_tokenizer(header).save_pretrained(folder)


def _load(path: Path, config: dict[str, Any], where: str) -> PreTrainedModel:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    model, info = AutoModelForCausalLM.from_pretrained(
        path.parent,
        config=AutoConfig.for_model(**config),
        gguf_file=path.name,
        quantization_config=GgufConfig(dequantize=True),  # by default it would stay packed
        dtype=torch.float32,
        local_files_only=True,
        ignore_mismatched_sizes=True,  # so that they are listed below, not in a traceback
        output_loading_info=True,
    )
    mismatched = (entry[0] for entry in info["mismatched_keys"])
    wrong = sorted([*map(str, info["missing_keys"]), *mismatched])
    if wrong:
        raise UserError(
            f"{len(wrong)} weights of {path.name} are missing or of another shape than its "
            f"settings say: {', '.join(wrong[:3])}",
            where=where,
        )
    loaded: PreTrainedModel = model
    return loaded
