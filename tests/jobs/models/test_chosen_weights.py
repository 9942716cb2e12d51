"""Which files of a repository are a model: its safetensors once, its tokenizer, and no code."""

import pytest

from jobs.kinds.adapter import Adapter, AdapterParams
from jobs.kinds.pretrained import Pretrained, PretrainedParams

MODEL = ["config.json", "tokenizer.json", "tokenizer.model"]
SHARDS = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
INDEX = "model.safetensors.index.json"
OTHERS = [
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "tf_model.h5",
    "consolidated.safetensors",
    "modeling_evil.py",
    "onnx/model.safetensors",
    "README.md",
    "original/consolidated.00.pth",
]


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        ([*MODEL, "model.safetensors"], [*MODEL, "model.safetensors"]),
        ([*MODEL, *SHARDS, INDEX], [*MODEL, *SHARDS, INDEX]),
        ([*MODEL, "model.safetensors", *SHARDS, INDEX], [*MODEL, "model.safetensors"]),
        (MODEL, MODEL),
    ],
)
def test_weights_are_taken_once(there, taken):
    layout = Pretrained().source(PretrainedParams(source="hf://org/name")).layout
    assert sorted(layout.choose([*there, *OTHERS])) == sorted(taken)


def test_of_a_gguf_repository_one_file_is_taken_and_of_an_adapter_its_own():
    params = PretrainedParams(source="hf://org/name", gguf_file="a.Q4_0.gguf")
    layout = Pretrained().source(params).layout
    assert layout.choose(["a.Q4_0.gguf", "a.Q8_0.gguf", *MODEL]) == ["a.Q4_0.gguf"]
    layout = Adapter().source(AdapterParams(source="hf://org/name")).layout
    files = ["adapter_config.json", "adapter_model.safetensors", "tokenizer.json"]
    assert layout.choose([*files, "adapter_model.bin", "model.safetensors"]) == files
