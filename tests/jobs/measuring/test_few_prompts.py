"""A plan says which metrics few prompts may refuse: counted, against the width of the model."""

from pathlib import Path
from typing import Any

import pytest

from jobs.kind import Upstream
from jobs.kinds.measure import Measure

CONFIG = {"model_type": "gpt2", "n_embd": 256, "n_layer": 2, "n_head": 4, "n_positions": 64}


def upstream(kind: str, params: Any, facts: Any = None, **inputs: Upstream) -> Upstream:
    return Upstream(kind=kind, params=params, facts=facts, files={}, inputs=inputs)


def notes_of(metrics: tuple[str, ...], prompts: Upstream, **base: Any) -> list[str]:
    kind = Measure()
    model = upstream("pretrain", base or {"config": CONFIG})
    delta = upstream("extract", {}, base=model, prompts=prompts)
    return list(kind.notes(kind.Params(metrics=metrics), {"delta": delta, "against": delta}))


@pytest.fixture
def prompts(tmp_path: Path) -> Upstream:
    file = tmp_path / "prompts.txt"
    file.write_text("\n\n".join(f"{n} " + 40 * "word " for n in range(20)), "utf-8")
    return upstream("prompts", {"format": "text", "source": str(file)})


def test_prompts_that_are_not_yet_sampled_are_counted(prompts: Upstream) -> None:
    both = notes_of(("components_90", "effective_rank", "consistency"), prompts)
    assert [note.split(" may be refused: ")[0] for note in both] == [
        "components_90",
        "effective_rank",
    ]
    assert " prompts tell up to about " in both[0] and "256 dimensions" in both[0]
    (overlap,) = notes_of(("subspace_overlap",), prompts)
    assert overlap.startswith("subspace_overlap may be refused: it takes about 2048 prompts")
    (local,) = notes_of(("intrinsic_dimension",), prompts)
    assert " prompts mostly tell up to " in local and local.endswith("of at most 256 dimensions")
    assert notes_of(("stable_rank", "participation_ratio"), prompts) == []


def test_many_prompts_or_unknown_sizes_warn_of_nothing(prompts: Upstream) -> None:
    many = upstream("prompts", prompts.params, {"num_prompts": 1000})
    some = upstream("prompts", prompts.params, {"num_prompts": 100})
    assert notes_of(("components_90", "effective_rank"), many) == []
    assert len(notes_of(("components_90", "effective_rank"), some)) == 1
    assert notes_of(("components_90",), prompts, source="hf://someone/unknown") == []
