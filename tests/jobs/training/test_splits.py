"""However the global batch is split over ranks and passes, the run is the same."""

import pytest

INPUTS = {"model": "model", "pairs": "pairs", "reference": "reference"}
PARAMS = {
    "max_length": 32,
    "steps": 3,
    "learning_rate": 1e-3,
    "optimizer": "adamw",
    "max_grad_norm": 0.5,  # gradients are longer, so that clipping decides the step
    "checkpoint_every": None,
    "validate_every": 2,
}
OBJECTIVES = ("dpo", "bco-pair", "robust", "sft")
COMPARED = ("loss", "grad_norm", "rewards/margins", "rewards/chosen", "validation/loss")


def split(root, name, objective, micro_batch, **more):
    params = {**PARAMS, "objective": objective, "micro_batch": micro_batch, **more}
    return root.Job(name=name, kind="align", params=params, inputs=INPUTS)


def do(root, job):
    answer, _ = root.run(job.kind, job.params, name=job.name, **job.inputs)
    assert answer["state"] == "done", answer


def do_on_ranks(root, jobs, num_ranks):
    answers = root.run_jobs_on_ranks(jobs, num_ranks)
    found = [[rank["state"] for rank in job] for job in answers]
    assert found == [["done"] * num_ranks] * len(jobs), answers


def require_same(root, name, expected):
    rows, wanted = root.log_of(name), root.log_of(expected)
    assert [row["step"] for row in rows] == [row["step"] for row in wanted]
    for row, want in zip(rows, wanted, strict=True):
        for metric in set(COMPARED) & set(want):
            where = (name, row["step"], metric)
            assert row[metric] == pytest.approx(want[metric], rel=1e-4, abs=1e-5), where


def test_one_pass_or_four_on_one_process_or_two_give_the_same_losses_and_margins(scored):
    for objective in OBJECTIVES:
        for rows in (4, 1):
            do(scored, split(scored, f"{objective} 1 x {4 // rows}", objective, rows))
    do(scored, split(scored, "dpo 1 x 2", "dpo", 2))
    twos = [
        split(scored, f"{objective} 2 x 2", objective, 1, num_ranks=2) for objective in OBJECTIVES
    ]
    do_on_ranks(scored, [*twos, split(scored, "dpo 2 x 1", "dpo", 2, num_ranks=2)], 2)
    for objective in OBJECTIVES:
        for name in ("1 x 4", "2 x 2"):
            require_same(scored, f"{objective} {name}", f"{objective} 1 x 1")
    for name in ("1 x 2", "2 x 1"):
        require_same(scored, f"dpo {name}", "dpo 1 x 1")


@pytest.mark.slow
def test_four_ranks_of_one_row_each_are_one_process_of_four(scored):
    engines, objectives = ("ddp", "zero2", "zero3"), ("dpo", "sft")
    for objective in objectives:
        do(scored, split(scored, objective, objective, 4))
    fours = [
        split(scored, f"{objective} {engine}", objective, 1, engine=engine, num_ranks=4)
        for objective in objectives
        for engine in engines
    ]
    do_on_ranks(scored, fours, 4)
    for objective in objectives:
        for engine in engines:
            require_same(scored, f"{objective} {engine}", objective)
