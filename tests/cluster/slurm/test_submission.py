"""Submission, and one sentence for each refusal, with the nearest of what there is.

Answers are those of SLURM 22.05.8; accounts and qualities of service after its documentation.
"""

from dataclasses import replace

import pytest

from cluster.errors import SurroundingsError, UserError
from cluster.slurm.batch_request import BatchRequest, Explained, NodeShape, Setup
from cluster.slurm.refusals import explain_wait, never_starts
from cluster.slurm.submission import submit

REQUEST = BatchRequest(
    title="",
    name="ladder",
    nodes=NodeShape(count=2, cpus=64, gpus=8),
    setup=Setup(python="python"),
    command=["true"],
    output="/logs/%j.log",
    state_folder="/logs/1",
    account="porj",
    partition="gpus",
    qos="fast",
    time=Explained(value="2-00:00:00", why=""),
)
_FAILED = "sbatch: error: Batch job submission failed: "


@pytest.mark.parametrize("answer", ["4711\n", "4711;hpc\n"])
def test_the_id_of_a_job_is_what_sbatch_says(answering, answer: str) -> None:
    asked = answering("sbatch", answer)
    assert submit(REQUEST, "/a b/1.sbatch") == "4711"
    assert asked.read_text() == "--parsable /a b/1.sbatch\n"


def test_jobs_follow_each_other_by_dependencies(answering) -> None:
    asked = answering("sbatch", "4712\n")
    submit(REQUEST, "x", after=["4711"])
    submit(REQUEST, "x", after=["4711"], is_retry=True)
    assert asked.read_text().splitlines() == [
        "--parsable --dependency=afterany:4711 x",
        "--parsable --dependency=afternotok:4711 --kill-on-invalid-dep=yes x",
    ]


def test_variables_of_sbatch_do_not_change_what_the_script_says(answering, monkeypatch) -> None:
    changing = ["PARTITION", "OUTPUT", "ARRAY_INX", "GPUS_PER_TASK", "TEST_ONLY", "CONSTRAINT"]
    leaving = ["ACCOUNT", "RESERVATION", "WAIT4SWITCH"]
    for name in (*changing, *leaving):
        monkeypatch.setenv(f"SBATCH_{name}", "other")
    asked = answering("sbatch", "1\n")
    submit(replace(REQUEST, account=None, options=["--constraint=a100"]), "x")
    environment = asked.with_name("sbatch.asked.environment").read_text().splitlines()
    assert {line for line in environment if line.startswith("SBATCH_")} == {
        f"SBATCH_{name}=other" for name in leaving
    }


def test_an_unknown_partition_is_answered_with_those_there_are(answering) -> None:
    answering(
        "sbatch",
        errors="sbatch: error: invalid partition specified: gpus\n"
        f"{_FAILED}Invalid partition name specified\n",
        code=1,
    )
    answering("sinfo", "cpu\ngpu\ngpu\n")
    with pytest.raises(UserError) as fault:
        submit(REQUEST, "x")
    assert fault.value.allowed == ["cpu", "gpu"]
    assert fault.value.hint == "did you mean 'gpu'?"
    assert "unknown partition 'gpus'" in fault.value.error and "\n" not in fault.value.error


def test_an_unknown_account_is_answered_with_those_of_the_user(answering) -> None:
    answering(
        "sbatch",
        errors=f"{_FAILED}Invalid account or account/partition combination specified\n",
        code=1,
    )
    answering("sacctmgr", "proj\nother\n")
    with pytest.raises(UserError) as fault:
        submit(REQUEST, "x")
    assert fault.value.hint == "did you mean 'proj'?"


def test_where_no_accounts_are_kept_the_refusal_says_what_was_asked_for(answering) -> None:
    answering(
        "sbatch", errors=f"{_FAILED}Invalid account or account/partition combination\n", code=1
    )
    answering(
        "sacctmgr", errors="You are not running a supported accounting_storage plugin", code=1
    )
    with pytest.raises(UserError, match="does not know this account") as fault:
        submit(REQUEST, "x")
    assert fault.value.where == "account: porj"
    assert fault.value.allowed is None


@pytest.mark.parametrize(
    ("said", "sentence", "where"),
    [
        (
            "Requested time limit is invalid (missing or exceeds some limit)",
            "the time limit is above what the partition",
            "time: 2-00:00:00",
        ),
        ("Invalid qos specification", "you may not use this quality of service", "qos: fast"),
        ("Requested node configuration is not available", "no node of the partition", "nodes: 2"),
        ("More processors requested than permitted", "so many cores", "cpus: 64"),
        (
            "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
            "limit on jobs, nodes or time is reached",
            "account: porj",
        ),
        ("Brand new reason of a later version", "SLURM refused it: ", "sbatch"),
    ],
)
def test_a_refusal_is_one_sentence(answering, said: str, sentence: str, where: str) -> None:
    answering("sbatch", errors=f"{_FAILED}{said}\n", code=1)
    with pytest.raises(UserError) as fault:
        submit(REQUEST, "x")
    assert sentence in fault.value.error and said in fault.value.error
    assert (fault.value.where or "").startswith(where)
    assert "\n" not in fault.value.error


@pytest.mark.parametrize(
    "said",
    [
        "Unable to contact slurm controller (connect failure)",
        "Socket timed out on send/recv operation",
    ],
)
def test_a_controller_that_does_not_answer_is_no_mistake_of_the_user(answering, said) -> None:
    answering("sbatch", errors=f"{_FAILED}{said}\n", code=1)
    with pytest.raises(SurroundingsError, match="controller"):
        submit(REQUEST, "x")


def test_reasons_to_wait_are_told_from_reasons_never_to_start() -> None:
    assert explain_wait("(Resources)") == "waits for free nodes (Resources)"
    assert "limit of the account" in explain_wait("AssocGrpCPUMinutesLimit")
    assert explain_wait("SomethingNew") == "SomethingNew"
    assert never_starts("PartitionTimeLimit") and never_starts("PartitionConfig")
    assert not never_starts("Priority") and not never_starts("ReqNodeNotAvail, UnavailableNodes:n1")
