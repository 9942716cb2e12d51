"""Tiny real models and tokenizers, and folders of them in the hub's layout."""

import pytest

WORDS = ["<unk>", "<end>", *(f"word{number}" for number in range(20))]


@pytest.fixture(scope="session")
def tiny_sizes():
    """Our config fields of a tiny model, but for its family."""
    return {"num_layers": 2, "d_model": 16, "num_heads": 2, "vocab_size": len(WORDS)}


@pytest.fixture(scope="session")
def word_tokenizer():
    """A function: special tokens -> a tokenizer of 22 words between blanks."""

    def build(**special):
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast

        numbered = {word: number for number, word in enumerate(WORDS)}
        inner = Tokenizer(models.WordLevel(numbered, unk_token="<unk>"))
        inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        return PreTrainedTokenizerFast(tokenizer_object=inner, **special)

    return build


@pytest.fixture(scope="session")
def tiny_model(tiny_sizes):
    """A function: family and changed fields -> the same random model every time."""

    def build(name, **change):
        import torch
        from transformers import AutoModelForCausalLM

        from jobs.family import family_of

        fields = {"family": name, **tiny_sizes, **change}
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return AutoModelForCausalLM.from_config(family_of(name).hf_config(fields))

    return build


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory, tiny_model, word_tokenizer):
    """A folder with a checkpoint per family, named as the family, and `NAME-sharded` of each."""
    from jobs.family import names

    folder = tmp_path_factory.mktemp("saved")
    for name in names():
        for file_name, size in ((name, "1GB"), (f"{name}-sharded", "4KB")):
            tiny_model(name).save_pretrained(folder / file_name, max_shard_size=size)
            word_tokenizer(eos_token="<end>").save_pretrained(folder / file_name)
    return folder
