"""Folders of models and adapters: config, weights or tokenizer damaged in one file or several."""

import contextlib
import json
import shutil
from pathlib import Path
from random import Random

from tests.fuzz.mutation import changed_bytes, changed_json

_FAMILIES = ("gpt2", "llama", "gpt_neox")


class Fuzzer:
    """Checks one damaged folder a case."""

    def __init__(self, given: Path) -> None:
        self.given = given
        _write_models(given)
        _write_adapter(given / "adapter")
        self.models = [given / name for name in (*_FAMILIES, "llama-sharded")]

    def case(self, rng: Random, work: Path) -> None:
        """Damage a copy of a folder, and look at it as a plan does."""
        from cluster.errors import UserError
        from jobs.models.adapter_folder import check_adapter_folder, read_adapter_settings
        from jobs.models.folder import check_model_folder, model_files

        folder = work / "folder"
        shutil.rmtree(folder, ignore_errors=True)
        is_adapter = rng.random() < 0.25
        shutil.copytree(self.given / "adapter" if is_adapter else rng.choice(self.models), folder)
        for _ in range(rng.choice((1, 1, 2))):
            _damage(rng.choice(sorted(folder.iterdir())), rng)
        looks = (
            (lambda: check_adapter_folder(folder, "here"), lambda: read_adapter_settings(folder))
            if is_adapter
            else (lambda: check_model_folder(folder, "here"), lambda: model_files(folder, "here"))
        )
        for look in looks:
            with contextlib.suppress(UserError):
                look()


def _damage(path: Path, rng: Random) -> None:
    if path.is_dir():
        return
    draw = rng.random()
    data = path.read_bytes()
    if draw < 0.6 and path.suffix == ".json":
        path.write_bytes(changed_json(data, rng))
    elif draw < 0.75 and path.suffix == ".safetensors":
        path.write_bytes(_changed_header(data, rng))
    elif draw < 0.9:
        path.write_bytes(changed_bytes(data, rng))
    elif draw < 0.95:
        path.unlink()
    else:
        path.unlink()
        path.mkdir()


def _changed_header(data: bytes, rng: Random) -> bytes:
    length = int.from_bytes(data[:8], "little")
    header = changed_json(data[8 : 8 + length], rng)
    size = len(header) if rng.random() < 0.8 else rng.choice((0, 2**63, 2**40, 5))
    return size.to_bytes(8, "little") + header + data[8 + length :]


def _write_models(given: Path) -> None:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    from jobs.models.family import family_of

    words = ["<unk>", "<end>", *(f"word{number}" for number in range(20))]
    inner = Tokenizer(
        models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="<unk>")
    )
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    sizes = {"num_layers": 1, "d_model": 8, "num_heads": 2, "vocab_size": len(words)}
    torch.set_num_threads(1)
    for name in _FAMILIES:
        config = family_of(name).hf_config({"family": name, **sizes})
        model = AutoModelForCausalLM.from_config(config)
        for folder, size in ((name, "1GB"), (f"{name}-sharded", "2KB")):
            model.save_pretrained(given / folder, max_shard_size=size)
            tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>")
            tokenizer.save_pretrained(given / folder)


def _write_adapter(folder: Path) -> None:
    folder.mkdir()
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": 2,
        "lora_alpha": 4,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": ["q_proj", "v_proj"],
        "base_model_name_or_path": "org/base",
        "fan_in_fan_out": False,
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    header = {
        f"base_model.model.model.layers.0.self_attn.{name}_proj.lora_{part}.weight": {
            "dtype": "F32",
            "shape": [2, 8] if part == "A" else [8, 2],
            "data_offsets": [at * 64, at * 64 + 64],
        }
        for at, (name, part) in enumerate((n, p) for n in "qv" for p in "AB")
    }
    written = json.dumps(header).encode()
    body = len(written).to_bytes(8, "little") + written + bytes(256)
    (folder / "adapter_model.safetensors").write_bytes(body)
