"""What a folder holds that is no checkpoint in the hub's layout, and the way on from there.

Judged by names alone: nothing is opened.
"""

import re
from collections.abc import Iterable, Sequence

from cluster.errors import UserError
from jobs.models.checkpoint_files import INDEX, WEIGHTS

_MOST_NAMES_SHOWN = 8
_AN_ADAPTER = "this is an adapter: kind `adapter` merges it into its base"
_LAYOUTS = (
    (r"adapter_config\.json", _AN_ADAPTER),
    (
        r"global_step\d+|mp_rank_\d+.*|zero_pp_rank_.*|bf16_zero_pp_rank_.*|zero_to_fp32\.py",
        "{name} is of DeepSpeed's training state: in that folder, "
        "`python zero_to_fp32.py . model --safe_serialization` writes its weights",
    ),
    (
        r"pytorch_model_fsdp.*|distributed_checkpoint|.*\.distcp|\.metadata",
        "{name} is of FSDP's training state: `accelerate merge-weights FOLDER NEW` writes its "
        "weights",
    ),
    (
        r"checkpoint-\d+",
        "this is the folder of a training run: name one of its checkpoints, such as {name}",
    ),
    (
        r"snapshots",
        "this is a model in the hub's cache: give hf://organisation/name, or the folder "
        "snapshots/COMMIT in it",
    ),
    (
        r".*\.gguf",
        "{name} is a model for llama.cpp: name the file itself, `source: FOLDER/{name}`, or of a "
        "repository on the hub `gguf_file: {name}`; the checkpoint that it was made from is exact",
    ),
    (
        r"ggml.*\.bin",
        "{name} is quantised for llama.cpp: use the checkpoint that it was made from",
    ),
    (
        r"consolidated.*",
        "{name} is in its maker's own layout: use the files of the release for transformers, or "
        "convert it with the script convert_..._weights_to_hf.py of its family in transformers",
    ),
    (
        r"tf_model\.h5|flax_model.*\.msgpack|rust_model\.ot|.*\.onnx|weights.*\.npz",
        "{name} holds weights of another framework: save the model with PyTorch's transformers, "
        "model.save_pretrained(NEW)",
    ),
    (
        r"(?!training_args|optimizer|scheduler|rng_state|random_states|scaler).*"
        r"\.(bin|pt|pth|ckpt|pkl)",
        "{name} is a pickle, which can run code when it is opened; if you trust it, "
        "convert it once with AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW), "
        "and the tokenizer alike with AutoTokenizer",
    ),
    (
        r"model-\d+-of-\d+\.safetensors",
        "the weights lie in several files and the list of them is missing: download it too, or "
        "save the model again with save_pretrained",
    ),
    (
        r".*\.safetensors",
        "if {name} holds all weights of the model, name it model.safetensors",
    ),
)
"""Names of files and folders, and what to do where the first such name is found."""


def no_safetensors(names: Iterable[str], where: str, *, half: Sequence[str] = ()) -> UserError:
    """Make the fault for a folder or repository without safetensors: what it holds, what to do.

    Args:
        names: its files and folders.
        where: its name in errors.
        half: what is left there of downloads that did not end.
    """
    names = sorted(names)
    missing = missing_shards(names)
    if missing:
        return UserError(
            f"{first_names(missing)} and {INDEX} are missing",
            where=where,
            hint="download the whole model: `hf download` goes on where it was cut off",
        )
    return UserError(
        f"no safetensors weights: found {first_names(names)}",
        where=where,
        allowed=[WEIGHTS, INDEX],
        hint=_unfinished(half) or way_on(names) or "save a model there with save_pretrained",
    )


def way_on(names: Sequence[str]) -> str | None:
    """Return what to do with a folder that holds these names; None where nobody can tell."""
    told = _first_layout(names)
    return told[1].format(name=told[0]) if told else None


def telling_name(names: Iterable[str]) -> str | None:
    """Return the name that `no_safetensors` would give advice about; None where there is none."""
    told = _first_layout(sorted(names))
    return told[0] if told else None


def _first_layout(names: Sequence[str]) -> tuple[str, str] | None:
    for pattern, advice in _LAYOUTS:
        for name in names:
            if re.fullmatch(pattern, name):
                return name, advice
    return None


def missing_shards(names: Iterable[str]) -> list[str]:
    """Return the files that numbered ones (`model-00001-of-00003.safetensors`) say are missing."""
    there = set(names)
    wanted = set()
    for name in there:
        if number := re.fullmatch(r"model-(\d{5})-of-(\d{5})\.safetensors", name):
            total = min(int(number[2]), 10_000)
            wanted |= {f"model-{at:05d}-of-{number[2]}.safetensors" for at in range(1, total + 1)}
    return sorted(wanted - there)


def first_names(names: Sequence[str]) -> str:
    """Return the first of names, and how many more there are."""
    first = ", ".join(names[:_MOST_NAMES_SHOWN]) or "nothing"
    more = len(names) - _MOST_NAMES_SHOWN
    return f"{first} and {more} more" if more > 0 else first


def _unfinished(half: Sequence[str]) -> str | None:
    if not half:
        return None
    return f"a download did not end ({first_names(half)}): start it again, it goes on there"
