"""A root with a tiny model, pairs and their reference scores, whose jobs run on ranks too."""

import pytest

from tests.jobs.training.ranks import RankedRoot


@pytest.fixture(scope="session")
def texts():
    """40 pairs; the chosen side always has words 10 to 14, the rejected side words 15 to 19."""
    rows = []
    for pair in range(40):
        length = 2 + pair % 3
        rows.append(
            {
                "pair": 100 + pair,
                "prompt": " ".join(f"word{(pair + step) % 10}" for step in range(3 + pair % 4)),
                "chosen": " ".join(f"word{10 + (pair + step) % 5}" for step in range(length)),
                "rejected": " ".join(f"word{15 + (pair + step) % 5}" for step in range(length)),
                "split": "validation" if pair % 5 == 0 else "train",
                "group": pair % 20,
            }
        )
    return rows


@pytest.fixture(scope="session")
def first_root(tmp_path_factory, texts, tiny_model, word_tokenizer):
    """A root that holds `model` (tiny gpt2), `pairs` and `reference`; never changed."""
    made = RankedRoot(tmp_path_factory.mktemp("first") / "root")
    made.model("model", tiny_model("gpt2"), word_tokenizer(eos_token="<end>"), "pretrained")
    made.parquet("pairs", "pairs", texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        made.done("reference", {"max_length": 32}, name="reference", model="model", pairs="pairs")
    return made


@pytest.fixture
def root(tmp_path, first_root):
    """A root that holds `model` and `pairs`."""
    made = RankedRoot(tmp_path / "root")
    made.take("model", first_root)
    made.take("pairs", first_root)
    return made


@pytest.fixture
def scored(root, first_root):
    """The same root with `reference`."""
    root.take("reference", first_root)
    return root
