"""Training on several ranks that was killed or stopped: all agree where it goes on, and it does."""

from functools import partial
from itertools import chain, repeat

import numpy as np
import pytest
from safetensors.numpy import load

from cluster.storage import Storage

INPUTS = {"model": "model", "pairs": "pairs", "reference": "reference"}
PARAMS = {
    "max_length": 32,
    "learning_rate": 1e-3,
    "optimizer": "adamw",
    "schedule": "linear",
    "steps": 12,
    "checkpoint_every": 3,
    "validate_every": 5,
    "num_ranks": 2,
}


def weights(root, name):
    return root.artifact(name).read("model/model.safetensors")


def resume(root, name):
    return root.artifact(name).facts["training"]["resume"]


def states(answers):
    return [answer and answer["state"] for answer in answers]


def job(root, name, attempt="1", engine="ddp", changed=None, **when):
    params = {**PARAMS, "engine": engine, **(changed or {})}
    return root.Job(name=name, kind="align", params=params, inputs=INPUTS, attempt=attempt, **when)


def change(root, name):
    """How far each weight went in training, in one vector."""
    before, after = load(weights(root, "model")), load(weights(root, name))
    return np.concatenate([(after[each] - before[each]).ravel() for each in sorted(before)])


def require_same_course(root, name, expected):
    """Every step once; numbers and end equal to what sums in another order give."""
    rows, wanted = root.log_of(name), root.log_of(expected)
    assert [row["step"] for row in rows] == list(range(1, PARAMS["steps"] + 1))
    for metric in ("loss", "rewards/margins"):
        ours, theirs = ([row[metric] for row in each] for each in (rows, wanted))
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
    ours, theirs = change(root, name), change(root, expected)
    assert ours @ theirs > 0.999 * np.linalg.norm(ours) * np.linalg.norm(theirs)


def test_a_gang_that_lost_a_rank_or_was_stopped_continues_as_if_nothing_had_been(scored):
    root = scored
    first = [
        job(root, "whole"),
        job(root, "stopped", stop_at={"1": 4}),
        job(root, "killed", kill_at={"1": 8}),
    ]
    whole, stopped, killed = root.run_jobs_on_ranks(first)
    assert states(whole) == ["done", "done"]
    assert states(stopped) == ["stopped", "stopped"], "one rank was asked to, both did"
    assert "done" not in states(killed)
    (again,) = root.run_jobs_on_ranks([job(root, "killed", "2")])
    assert states(again) == ["done", "done"]
    assert resume(root, "killed")["resumed_from"] in (3, 6)
    assert resume(root, "killed")["exact"] and not resume(root, "killed")["layout_changed"]
    assert weights(root, "killed") == weights(root, "whole")
    assert root.log_of("killed") == root.log_of("whole")

    alone = {**PARAMS, "num_ranks": 1}
    root.done("align", alone, name="stopped", attempt="2", **INPUTS)
    assert resume(root, "stopped") == {
        "resumed_from": 4,
        "exact": False,
        "layout_changed": True,
    }
    require_same_course(root, "stopped", "whole")


def test_a_run_goes_on_on_more_ranks_or_in_other_passes_over_the_same_rows(scored):
    root, alone = scored, {**PARAMS, "num_ranks": 1}
    root.done("align", alone, name="whole", **INPUTS)
    for name in ("on two", "in halves"):
        asked = chain([False] * 4, repeat(True))
        first, _ = root.run("align", alone, name=name, stop=partial(next, asked), **INPUTS)
        assert first["state"] == "stopped"
    halves = {**alone, "micro_batch": 2}
    root.done("align", halves, name="in halves", attempt="2", **INPUTS)
    (on_two,) = root.run_jobs_on_ranks([job(root, "on two", "2")])
    assert states(on_two) == ["done", "done"]
    for name in ("on two", "in halves"):
        assert resume(root, name) == {"resumed_from": 5, "exact": False, "layout_changed": True}
        require_same_course(root, name, "whole")


def test_a_gang_whose_ranks_are_killed_together_again_and_again_ends_with_the_same_bits(scored):
    root, often = scored, {"checkpoint_every": 1}
    draw = np.random.default_rng(8)
    attempts = [str(number) for number in range(1, 5)]
    for attempt in attempts[:-1]:
        at = int(draw.integers(3, 5))  # the checkpoint of two steps before is whole
        ended = root.run_jobs_on_ranks(
            [job(root, "killed", attempt, changed=often, kill_at={"0": at, "1": at})]
        )
        assert ended == [[None, None]]
    again = [job(root, "killed", attempts[-1], changed=often), job(root, "whole", changed=often)]
    assert [states(answers) for answers in root.run_jobs_on_ranks(again)] == [["done", "done"]] * 2
    assert resume(root, "killed")["resumed_from"] >= 3
    assert resume(root, "killed")["exact"]
    assert weights(root, "killed") == weights(root, "whole")
    assert root.log_of("killed") == root.log_of("whole")


@pytest.mark.slow
def test_three_ranks_that_were_killed_end_with_the_same_bits(root, tiny_model, word_tokenizer):
    """Sums of three depend on their order, and gradients of this size go in several messages."""

    model, tokenizer = tiny_model("gpt2", d_model=128), word_tokenizer(eos_token="<end>")
    root.model("model", model, tokenizer, "pretrained")
    of_it = {"model": "model", "pairs": "pairs"}
    root.done("reference", {"max_length": 32}, name="reference", **of_it)
    three = {"num_ranks": 3, "global_batch": 6, "micro_batch": 1}
    first = [
        job(root, "whole", changed=three),
        job(root, "killed", changed=three, kill_at={"2": 8}),
    ]
    whole, _ = root.run_jobs_on_ranks(first, 3)
    assert states(whole) == ["done"] * 3
    (again,) = root.run_jobs_on_ranks([job(root, "killed", "2", changed=three)], 3)
    assert states(again) == ["done"] * 3
    assert resume(root, "killed")["exact"]
    assert weights(root, "killed") == weights(root, "whole")
    assert root.log_of("killed") == root.log_of("whole")


@pytest.mark.slow
def test_shards_of_a_gang_that_was_stopped_or_killed_come_back_bit_for_bit(scored):
    root, engines = scored, ("zero1", "zero2", "zero3")
    first = [
        *(job(root, f"whole {engine}", engine=engine) for engine in engines),
        job(root, "cut zero1", engine="zero1", stop_at={"0": 4}),
        job(root, "cut zero2", engine="zero2", stop_at={"1": 5}),
        job(root, "cut zero3", engine="zero3", kill_at={"0": 8}),
    ]
    ended = [states(answers) for answers in root.run_jobs_on_ranks(first)]
    assert ended[:5] == [["done", "done"]] * 3 + [["stopped", "stopped"]] * 2
    again = [job(root, f"cut {engine}", "2", engine=engine) for engine in engines]
    assert [states(answers) for answers in root.run_jobs_on_ranks(again)] == [["done", "done"]] * 3
    steps = [resume(root, f"cut {engine}")["resumed_from"] for engine in engines]
    assert steps[:2] == [4, 5] and steps[2] in (3, 6)
    for engine in engines:
        assert weights(root, f"cut {engine}") == weights(root, f"whole {engine}")
        assert root.log_of(f"cut {engine}") == root.log_of(f"whole {engine}")


@pytest.mark.slow
def test_shards_of_another_number_of_ranks_are_not_used_and_the_record_says_so(scored):
    root = scored
    (stopped,) = root.run_jobs_on_ranks([job(root, "one", engine="zero2", stop_at={"0": 4})])
    assert states(stopped) == ["stopped", "stopped"]
    root.done("align", {**PARAMS, "num_ranks": 1}, name="one", attempt="2", **INPUTS)
    assert resume(root, "one")["resumed_from"] is None
    assert "engine zero2" in resume(root, "one")["restarted_because"]
    assert root.log_of("one")[0]["step"] == 1


@pytest.mark.slow
def test_ranks_that_stop_early_all_have_the_best_weights(scored):
    """A fall of the loss that is never enough makes the first validation the best."""
    root, engines = scored, ("zero2", "ddp", "zero3")
    settled = {"early_stopping": {"every": 2, "patience": 2, "min_improvement": 9.0}}
    short = {"steps": 2, "schedule": "constant"}
    early = {**settled, "schedule": "constant"}
    jobs = [
        each
        for engine in engines
        for each in (
            job(root, f"early {engine}", engine=engine, changed=early),
            job(root, f"short {engine}", engine=engine, changed=short),
        )
    ]
    ended = [states(answers) for answers in root.run_jobs_on_ranks(jobs)]
    assert ended == [["done", "done"]] * len(jobs)
    for engine in engines:
        said = root.artifact(f"early {engine}").facts["training"]["early_stopping"]
        assert (said["best_step"], said["stopped_at"]) == (2, 6)
        assert weights(root, f"early {engine}") == weights(root, f"short {engine}")


@pytest.mark.slow
def test_on_object_storage_each_rank_keeps_its_part_and_all_of_them_are_found_again(root, bucket):
    for name in ("model", "pairs"):
        _upload(root, name, bucket)
    root.storage = Storage(bucket)
    given = {"model": "model", "pairs": "pairs"}
    root.done("reference", {"max_length": 32}, name="reference", **given)
    first = [
        job(root, "whole ddp"),
        job(root, "cut ddp", stop_at={"0": 4}),
        job(root, "whole zero3", engine="zero3"),
        job(root, "cut zero3", engine="zero3", stop_at={"1": 5}),
    ]
    ended = [states(answers) for answers in root.run_jobs_on_ranks(first)]
    assert ended == [["done", "done"], ["stopped", "stopped"]] * 2
    again = [job(root, f"cut {engine}", "2", engine=engine) for engine in ("ddp", "zero3")]
    assert [states(answers) for answers in root.run_jobs_on_ranks(again)] == [["done", "done"]] * 2
    for engine, step in (("ddp", 4), ("zero3", 5)):
        assert resume(root, f"cut {engine}")["resumed_from"] == step
        assert weights(root, f"cut {engine}") == weights(root, f"whole {engine}")


def _upload(root, name, bucket):
    artifact = root.artifact(name)
    for file in root.storage.walk(artifact.folder):
        Storage(bucket).write(file, root.storage.read(file))
