"""Names of the files that make a checkpoint in the hub's layout."""

WEIGHTS = "model.safetensors"
"""The weights, where they lie in one file."""
INDEX = "model.safetensors.index.json"
"""The list of tensors and files, where the weights lie in several."""
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

TOKENIZER = "tokenizer.json"
"""The tokenizer, where it is written in one file."""
TOKENIZER_FILES = tuple(
    name for name in DESCRIPTIONS if name not in ("config.json", "generation_config.json")
)
"""Files of a tokenizer; an adapter may hold them, and they come before its base's."""
OTHER_TOKENIZERS = ("vocab.txt", "spiece.model", "sentencepiece.bpe.model")
"""Files of tokenizers that classifiers have and our language models do not."""
