"""One process under engines that are made for several, and an engine that is not in force."""

import pytest

from jobs.training.engine import ENGINES
from jobs.training.zero import Zero

INPUTS = {"model": "model", "pairs": "pairs", "reference": "reference"}
PARAMS = {"max_length": 32, "steps": 3, "learning_rate": 1e-3, "checkpoint_every": None}
OFFLOADED = {**PARAMS, "engine": "zero2", "offload": True}


def test_one_process_offloads_to_host_memory_and_leaves_nothing_behind(scored):
    for name, params in (("plain", PARAMS), ("offloaded", OFFLOADED), ("again", PARAMS)):
        answer, _ = scored.run("align", params, name=name, **INPUTS)
        assert answer["state"] == "done", answer
    for row, wanted in zip(scored.log_of("offloaded"), scored.log_of("plain"), strict=True):
        assert row["loss"] == pytest.approx(wanted["loss"], abs=1e-6)
    assert scored.artifact("offloaded").facts["training"]["engine_in_force"]["offload"]
    assert scored.log_of("again") == scored.log_of("plain")


def test_an_engine_that_is_not_in_force_ends_training_before_a_step(scored, monkeypatch):
    # As a library does that ignores what it was told.
    monkeypatch.setattr(Zero, "arguments", lambda self, *plan: ENGINES.find("ddp").arguments(*plan))
    answer, _ = scored.run("align", OFFLOADED, name="ignored", **INPUTS)
    assert answer["state"] == "failed", answer
    assert answer["error"]["message"].startswith("AssertionError"), answer
    assert scored.artifact("ignored").find_record() is None
