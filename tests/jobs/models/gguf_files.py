"""Small `.gguf` files, written by the package's own writer as llama.cpp's converter would."""

import gguf
import numpy as np

from tests.jobs.byte_level import byte_level_bpe

MARKS = ("<|end|>",)
TEXT = "the cat sat on the mat, and the dog saw the cat 12 times in 2025. "
TOKENIZER = byte_level_bpe(TEXT, 300, MARKS)
ARCHITECTURES = ("llama", "qwen2", "qwen3", "gpt2", "gemma2", "gemma3_text")
"""Model types of transformers."""
SIZES = {"num_layers": 2, "d_model": 64, "num_heads": 4, "max_positions": 96}
_GROUPED = {"num_key_value_heads": 2, "d_mlp": 96}


def sizes_of(architecture):
    """Config fields, in our names, of a model of an architecture that a file can hold."""
    more = {} if architecture == "gpt2" else _GROUPED
    return {**SIZES, **more, "vocab_size": TOKENIZER.get_vocab_size()}


def write_gguf(path, model, quantise="F32", *, leave_out=(), tensors=None, **settings):
    """Write a model of transformers to a file.

    Args:
        path: the file.
        model: of one of ARCHITECTURES.
        quantise: type of its matrices; vectors stay 32-bit, as converters leave them.
        leave_out: names of tensors that are not written.
        tensors: name -> more tensors, as arrays.
        settings: name, with `__` for the dots, -> a setting beside or in place of the usual; None
            leaves it out.
    """
    config, kind = model.config, gguf.GGMLQuantizationType[quantise]
    architecture = config.model_type.removesuffix("_text")
    writer = gguf.GGUFWriter(path, architecture)
    changed = {name.replace("__", "."): value for name, value in settings.items()}
    if alignment := changed.pop("general.alignment", None):
        writer.add_custom_alignment(alignment)
    written = {**_settings(config, architecture), **_vocabulary(), **changed}
    for name, value in written.items():
        if value is not None:
            _write_setting(writer, name, value)
    for name, weight in {**_tensors(model, architecture), **(tensors or {})}.items():
        if name in leave_out:
            continue
        if weight.ndim > 1 and quantise != "F32":
            packed = gguf.quantize(weight, kind)
            writer.add_tensor(name, packed, raw_dtype=None if quantise == "F16" else kind)
        else:
            writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _settings(config, architecture):
    if architecture == "gpt2":
        ours = {
            "context_length": config.n_positions,
            "embedding_length": config.n_embd,
            "feed_forward_length": config.n_inner or 4 * config.n_embd,
            "block_count": config.n_layer,
            "attention.head_count": config.n_head,
            "attention.layer_norm_epsilon": config.layer_norm_epsilon,
        }
    else:
        ours = {
            "context_length": config.max_position_embeddings,
            "embedding_length": config.hidden_size,
            "feed_forward_length": config.intermediate_size,
            "block_count": config.num_hidden_layers,
            "attention.head_count": config.num_attention_heads,
            "attention.head_count_kv": config.num_key_value_heads,
            "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
            "rope.freq_base": (
                config.rope_parameters.get("full_attention") or config.rope_parameters
            )["rope_theta"],
        }
        width = getattr(config, "head_dim", None)
        if architecture.startswith("gemma"):
            ours |= {"attention.sliding_window": config.sliding_window}
        if architecture == "gemma2":
            ours |= {
                "attn_logit_softcapping": config.attn_logit_softcapping,
                "final_logit_softcapping": config.final_logit_softcapping,
            }
        if architecture in ("qwen3", "gemma2", "gemma3"):
            ours |= {"attention.key_length": width, "attention.value_length": width}
        if architecture == "llama":
            ours |= {"rope.dimension_count": width, "vocab_size": config.vocab_size}
    return {f"{architecture}.{name}": value for name, value in ours.items()}


def _vocabulary():
    numbered = {number: token for token, number in TOKENIZER.get_vocab().items()}
    tokens = [numbered[number] for number in range(len(numbered))]
    import json

    merges = json.loads(TOKENIZER.to_str())["model"]["merges"]
    types = gguf.TokenType
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [
            int(types.CONTROL if token in MARKS else types.NORMAL) for token in tokens
        ],
        "tokenizer.ggml.merges": [" ".join(pair) for pair in merges],
        "tokenizer.ggml.bos_token_id": TOKENIZER.token_to_id(MARKS[0]),
        "tokenizer.ggml.eos_token_id": TOKENIZER.token_to_id(MARKS[0]),
    }


def _write_setting(writer, name, value):
    if isinstance(value, list):
        writer.add_array(name, value)
    elif isinstance(value, str):
        writer.add_string(name, value)
    elif isinstance(value, float):
        writer.add_float32(name, value)
    else:
        writer.add_uint32(name, value)


def _tensors(model, architecture):
    """The weights under llama.cpp's names and in its layout."""
    config = model.config
    kind = next(each for each, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(kind, config.num_hidden_layers)
    tensors = {}
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        array = weight.numpy().astype(np.float32)
        if architecture == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            is_query = name.endswith("q_proj.weight")
            array = _interleaved(
                array, config.num_attention_heads if is_query else config.num_key_value_heads
            )
        if architecture.startswith("gemma") and name.endswith("norm.weight"):
            array = array + 1
        if architecture == "gpt2" and ".c_" in name and array.ndim == 2:
            array = array.T
        tensors[names.get_name(name, try_suffixes=(".weight", ".bias"))] = np.ascontiguousarray(
            array
        )
    return tensors


def _interleaved(weight, num_heads):
    """The order in which llama.cpp turns pairs: its `LlamaModel.permute`."""
    split = weight.reshape(num_heads, 2, weight.shape[0] // num_heads // 2, *weight.shape[1:])
    return split.swapaxes(1, 2).reshape(weight.shape)
