"""Loads and saves models and tokenizers, in checkpoint folders of the hub's layout.

Safetensors only, local files only, no code from the folder; the same folder gives the same model.
"""

import copy
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.disk.temp_folders import TempFolder
from cluster.errors import UserError
from cluster.machine.import_faults import import_fault
from jobs.models.checkpoint_files import TOKENIZER_FILES
from jobs.models.family import attention_kernel, family_of_config, name_of_family
from jobs.models.folder import check_model_folder, read_config, read_json_object
from jobs.models.model_facts import Dtype
from jobs.models.own_tokenizer import first_difference, read_own, refuse_drawn_ids
from jobs.models.shape import ConfigMapping, ModelConfig, as_mapping

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast
    from transformers.utils.quantization_config import QuantizationConfigMixin

    from jobs.models.device import DeviceMap

SHARD_SIZE = "5GB"
"""Weights of a model are written in files of at most this size."""
_GENERATION = "generation_config.json"
_MOST_KEYS_SHOWN = 3
_RETURNED = {"return_dict": True, "output_attentions": False, "output_hidden_states": False}
_MOST_OF_REASON = 300
_KERNELS = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
"""Settings of a config.json that ask for a kernel, which may not be installed."""


def load_model(
    folder: Path,
    *,
    dtype: Dtype = "float32",
    device: "str | DeviceMap" = "cpu",
    attention: str = "sdpa",
    quantisation: "QuantizationConfigMixin | None" = None,
) -> "PreTrainedModel":
    """Load the causal language model in a folder, in eval mode.

    Args:
        folder: a checkpoint.
        dtype: dtype of its weights in memory.
        device: `cpu` or `cuda`, see pick_device; or several, see place_of.
        attention: the attention kernel, by its transformers name; eager where the family lacks it.
        quantisation: a transformers quantisation config, for `device` given as a map; or None.

    Raises:
        UserError: the folder is not a whole checkpoint of a supported family, or the attention
            kernel is not installed.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    config = check_model_folder(folder)
    kernel = attention_kernel(config, attention)
    _require_kernel(kernel)
    placed = _place_of_shards(device)
    logging.disable_progress_bar()  # a job's log is a file
    with _faults_of_config(folder, config):
        model, info = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            attn_implementation=kernel,
            device_map=placed,
            quantization_config=quantisation,
            **_corrections(config),
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            ignore_mismatched_sizes=True,  # so that they are listed below, not in a traceback
            output_loading_info=True,
        )
    _require_whole(info, folder)
    _require_finite(model, folder, dtype)
    loaded: PreTrainedModel = model.to(device) if placed is None else model
    return loaded.eval()


def _place_of_shards(device: "str | DeviceMap") -> "DeviceMap | None":
    """Return the map by which weights are read straight to their device; None: by way of the host.

    One GPU is a map too, so that no model goes through host memory by one thread. Under ZeRO-3
    DeepSpeed cuts the weights while they are read, and a map is refused.
    """
    if not isinstance(device, str):
        return device
    import torch
    from transformers.integrations import is_deepspeed_zero3_enabled

    where = torch.device(device)
    if where.type != "cuda" or is_deepspeed_zero3_enabled():
        return None
    # With its number: a name without one is no device that accelerate compares equal to its own.
    number = torch.cuda.current_device() if where.index is None else where.index
    return {"": f"cuda:{number}"}


@contextmanager
def _faults_of_config(folder: Path, config: ConfigMapping) -> Iterator[None]:
    """Raise what transformers finds wrong in config.json as one sentence for the user.

    What keeps a library from being imported here is no fault of config.json, and goes on as it is.
    """
    from huggingface_hub.errors import StrictDataclassError

    try:
        yield
    except (
        AttributeError,
        ImportError,  # of a kernel that it asks for
        KeyError,
        TypeError,
        ValueError,
        StrictDataclassError,
    ) as error:
        is_of_machine = isinstance(error, ImportError) and not any(map(config.get, _KERNELS))
        if is_of_machine or import_fault(error, os.environ) is not None:
            raise
        reason = " ".join(str(error).split())[:_MOST_OF_REASON]
        name = _GENERATION if _is_of_generation(folder, error) else "config.json"
        raise UserError(
            f"no model can be built from {name} ({type(error).__name__}: {reason})",
            where=str(folder),
            hint=f"compare it with the {name} that the model was published with",
        ) from error


def _is_of_generation(folder: Path, error: Exception) -> bool:
    """Tell whether transformers finds this wrong in the settings for generation, read alone."""
    from transformers import GenerationConfig

    try:
        GenerationConfig.from_pretrained(folder, local_files_only=True)
    except (AttributeError, KeyError, TypeError, ValueError) as own:
        return str(own) == str(error)
    except OSError:  # there are none
        return False
    return False


def _require_whole(info: Mapping[str, Iterable[str | tuple[str, ...]]], folder: Path) -> None:
    mismatched = (entry[0] for entry in info["mismatched_keys"])
    wrong = sorted([*map(str, info["missing_keys"]), *mismatched])
    if wrong:
        names = ", ".join(wrong[:_MOST_KEYS_SHOWN])
        raise UserError(
            f"{len(wrong)} weights are missing or of another shape than config.json says: {names}",
            where=str(folder),
        )


def _require_finite(model: "PreTrainedModel", folder: Path, dtype: Dtype) -> None:
    """Raise UserError where weights are not numbers, or are too large for their dtype."""
    wrong = [
        name
        for name, weight in model.named_parameters()
        if weight.is_floating_point()
        and weight.numel()  # none is here of what ZeRO-3 cut up
        and not weight.is_meta
        and not all(end.isfinite() for end in weight.aminmax())
    ]
    if wrong:
        names = ", ".join(wrong[:_MOST_KEYS_SHOWN])
        raise UserError(
            f"{len(wrong)} weights hold NaN or infinity as {dtype}: {names}",
            where=str(folder),
            hint="a training that diverged leaves such a model: use an earlier checkpoint"
            + ("" if dtype == "float32" else "; float32 holds numbers that float16 does not"),
        )


def _corrections(config: ConfigMapping) -> dict[str, object]:
    """Return what replaces settings that a model cannot be run with here.

    These are a token for padding that the model has no row for, on which transformers would fail
    (padded places are masked), and what it returns beside its outputs or instead of them.
    """
    pad, num_rows = config.get("pad_token_id"), family_of_config(config).shape(config).vocab_size
    has_row = not isinstance(pad, int) or -num_rows <= pad < num_rows
    others = {name: value for name, value in _RETURNED.items() if config.get(name, value) != value}
    return {**others, **({} if has_row else {"pad_token_id": None})}


def _require_kernel(kernel: str) -> None:
    from transformers.utils import is_flash_attn_2_available

    if kernel == "flash_attention_2" and not is_flash_attn_2_available():
        raise UserError(
            "flash attention is not installed here, or there is no GPU that it runs on",
            where="attention",
            allowed=["sdpa", "eager"],
            hint="pip install flash-attn, on a machine with a GPU and the CUDA toolkit",
        )


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerFast":
    """Load the tokenizer in a folder; it pads on the right and always has a pad token.

    Its ids are those of the folder's tokenizer.json where there is one. Where it had no pad token,
    or one that the model has no row for, another of its tokens becomes the pad token, so that no
    vocabulary grows; padded places are masked and their ids without effect.

    Raises:
        UserError: there is none, it cannot be read, or it gives texts other ids than its file.
    """
    config = read_config(folder)
    tokenizer = tokenizer_as_its_file_says(folder)
    if not tokenizer.is_fast or not len(tokenizer):
        raise UserError("there is no tokenizer with a vocabulary", where=str(folder))
    num_rows = family_of_config(config).shape(config).vocab_size
    named = (tokenizer.pad_token, tokenizer.eos_token, tokenizer.unk_token)
    with_row = [
        token
        for token in named
        if token is not None and 0 <= tokenizer.convert_tokens_to_ids(token) < num_rows
    ]
    pad_token = with_row[0] if with_row else tokenizer.convert_ids_to_tokens(0)
    if pad_token != tokenizer.pad_token:
        tokenizer.pad_token = pad_token
    tokenizer.padding_side = "right"
    return tokenizer


def load_tokenizer_with(model: Path, owner: Path) -> "PreTrainedTokenizerFast":
    """Load the tokenizer in a folder (an adapter's, often with a template) for a model in another.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    if owner == model:
        return load_tokenizer(model)
    with TempFolder("tokenizer") as together:
        (together / "config.json").write_bytes((model / "config.json").read_bytes())
        for name in TOKENIZER_FILES:
            if (owner / name).is_file():
                (together / name).write_bytes((owner / name).read_bytes())
        return load_tokenizer(together)


def tokenizer_as_its_file_says(folder: Path) -> "PreTrainedTokenizerFast":
    """Load a tokenizer by the class that its folder declares or, where its ids differ, by its file.

    Raises:
        UserError: it cannot be read, or gives texts other ids than its tokenizer.json.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    # For some families (qwen2) AutoTokenizer builds one class, whatever the folder declares.
    reader = PreTrainedTokenizerFast if _is_generic(folder) else AutoTokenizer
    try:
        own = read_own(folder)
        if own is not None:
            refuse_drawn_ids(own, str(folder))
        tokenizer = _read(reader, folder)
        if own is not None and tokenizer.is_fast and first_difference(tokenizer, own):
            tokenizer = _read(PreTrainedTokenizerFast, folder)
            difference = first_difference(tokenizer, own)
        else:
            difference = None
    except UserError:
        raise
    except Exception as error:  # the library raises whatever its readers meet
        raise UserError(f"the tokenizer cannot be read: {error}", where=str(folder)) from error
    if difference is None:
        return tokenizer
    loaded, expected = (" ".join(map(repr, tokens)) for tokens in difference)
    raise UserError(
        "the tokenizer cannot be loaded as its tokenizer.json describes it: it gives "
        f"{loaded}, the file {expected}",
        where=str(folder),
        hint="save the tokenizer that the model was trained with again, with save_pretrained",
    )


def _read(reader: Any, folder: Path) -> "PreTrainedTokenizerFast":
    tokenizer: PreTrainedTokenizerFast = reader.from_pretrained(
        folder, trust_remote_code=False, local_files_only=True
    )
    return tokenizer


def _is_generic(folder: Path) -> bool:
    """Tell whether the tokenizer declares no class of a family, and is tokenizer.json alone."""
    described = folder / "tokenizer_config.json"
    if not (described.is_file() and (folder / "tokenizer.json").is_file()):
        return False
    declared = read_json_object(described, str(folder)).get("tokenizer_class")
    return declared in ("PreTrainedTokenizerFast", "TokenizersBackend")


def save_checkpoint(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", folder: Path
) -> None:
    """Write model and tokenizer to a folder, weights as fp32 safetensors; whole or not at all.

    16 bits would round away most of a small update, so a model in fewer than 32 is widened first.
    """
    import torch

    if any(parameter.dtype != torch.float32 for parameter in model.parameters()):
        model = copy.deepcopy(model).float()
    temporary = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(temporary, ignore_errors=True)
    model.save_pretrained(temporary, max_shard_size=SHARD_SIZE)
    tokenizer.save_pretrained(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def describe_model(config: ModelConfig) -> dict[str, object]:
    """Return the fact `model` of a checkpoint: family and sizes, counted and not from a label."""
    mapping = as_mapping(config)
    family = family_of_config(mapping)
    shape = family.shape(mapping)
    total, inside = family.num_parameters(mapping)
    name = name_of_family(mapping)
    return {
        "family": name,
        "num_parameters": total,
        "num_parameters_non_embedding": inside,
        "d_model": shape.d_model,
        "num_layers": shape.num_layers,
        "vocab_size": shape.vocab_size,
        "config": {"family": name, **{field: getattr(shape, field) for field in family.FIELDS}},
    }
