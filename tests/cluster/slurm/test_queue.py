"""What the queue and the accounts say of jobs, and what is known where they say nothing.

Answers are those of SLURM 22.05.8; those of accounting are written after its documentation.
"""

import os

import pytest

from cluster.errors import SurroundingsError
from cluster.slurm import queue
from cluster.slurm.commands import ask

_QUEUE = """\
9|CANCELLED|None|UNLIMITED|2026-11-28T22:57:34|n1
8|PENDING|BeginTime|UNLIMITED|2026-11-28T22:59:35|
1|RUNNING|None|10:00|2026-11-28T22:57:30|n[1-2]
"""


def test_jobs_in_the_queue_have_state_reason_and_nodes(answering) -> None:
    asked = answering("squeue", _QUEUE)
    jobs = queue.look(["1", "8", "9"])
    assert jobs["1"].describe() == "1 RUNNING: n[1-2]"
    assert jobs["8"].describe() == "8 PENDING: starts again in a moment (BeginTime)"
    assert [jobs[job].is_over for job in ("1", "8", "9")] == [False, False, True]
    assert "-j 1,8,9" in asked.read_text()


def test_a_job_that_left_the_queue_is_known_from_the_accounts(answering) -> None:
    answering("squeue", errors="slurm_load_jobs error: Invalid job id specified", code=1)
    answering("sacct", "7|FAILED|3:0\n11|CANCELLED by 1000|0:15\n12|COMPLETED|0:0\n")
    jobs = queue.look(["7", "11", "12", "13"])
    assert jobs["7"].describe() == "7 FAILED: exit code 3"
    assert (jobs["11"].state, jobs["12"].reason) == ("CANCELLED", "")
    assert "13" not in jobs


def test_nothing_is_known_where_neither_says_anything(answering) -> None:
    answering("squeue", errors="slurm_load_jobs error: Invalid job id specified", code=1)
    answering("sacct", errors="Slurm accounting storage is disabled", code=1)
    assert queue.look(["7"]) == {}


def test_on_a_machine_without_slurm_nothing_is_known_and_nothing_raised(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert queue.look(["7"]) == {}


def test_a_queue_that_does_not_answer_keeps_nobody(answering, tmp_path) -> None:
    program = tmp_path / "slurm-commands" / "squeue"
    program.write_text("#!/bin/sh\nexec sleep 30\n")
    assert queue.look(["7"], timeout_s=0.2) == {}


def test_whether_jobs_are_alive_is_known_or_said_not_to_be(answering, monkeypatch) -> None:
    answering("squeue", _QUEUE)
    assert [job.id for job in queue.alive(["1", "8", "9"])] == ["8", "1"]
    answering("squeue", errors="slurm_load_jobs error: Invalid job id specified", code=1)
    assert queue.alive(["7"]) == []
    answering("squeue", errors="slurm_load_jobs error: Unable to contact slurm controller", code=1)
    with pytest.raises(SurroundingsError, match="does not answer"):
        queue.alive(["7"])
    monkeypatch.setenv("PATH", "/nonexistent")
    assert queue.alive([]) == []
    with pytest.raises(SurroundingsError, match="no `squeue`"):
        queue.alive(["7"])


def test_jobs_are_found_by_their_script(answering) -> None:
    asked = answering("squeue", "7|/a/1.sbatch\n8|/a/11.sbatch\n9|(null)\n")
    assert queue.ids_of_scripts(["/a/1.sbatch", "/b"]) == ["7"]
    assert f"-u {os.getuid()} " in asked.read_text()


def test_words_that_are_no_ids_reach_no_command(answering) -> None:
    asked = answering("squeue", _QUEUE)
    assert queue.look(["--help", "1;2", ""]) == {}
    assert not asked.exists()


def test_variables_that_change_what_is_printed_are_not_handed_on(answering, monkeypatch) -> None:
    monkeypatch.setenv("SQUEUE_STATES", "PENDING")
    monkeypatch.setenv("SLURM_JOB_ID", "5")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    asked = answering("squeue", _QUEUE)
    queue.look(["1"])
    environment = asked.with_name("squeue.asked.environment").read_text().splitlines()
    assert "SLURM_CONF=/etc/slurm.conf" in environment
    assert not [line for line in environment if line.startswith(("SQUEUE_", "SLURM_JOB"))]


def test_of_several_clusters_the_one_that_the_user_has_chosen_is_asked(
    answering, monkeypatch
) -> None:
    """As sites have it whose modules choose a cluster, and squeue names each that it lists."""
    monkeypatch.setenv("SLURM_CLUSTERS", "large,small")
    asked = answering("squeue", f"CLUSTER: large\nCLUSTER: small\n{_QUEUE}")
    known = queue.look(["1"])
    environment = asked.with_name("squeue.asked.environment").read_text().splitlines()
    assert "SLURM_CLUSTERS=large,small" in environment
    assert known.keys() == {"1"}


def test_cancelling_a_job_that_is_gone_is_no_fault(answering) -> None:
    answering(
        "scancel", errors="scancel: error: Kill job error on job id 9: Invalid job id specified"
    )
    queue.cancel(["9"])
    answering(
        "scancel",
        errors="scancel: error: Kill job error on job id 9: Access/permission denied",
        code=1,
    )
    with pytest.raises(SurroundingsError, match="does not let you"):
        queue.cancel(["9"])


@pytest.mark.parametrize(
    ("shown", "is_allowed"), [("Requeue=1", True), ("Requeue=0", False), ("", True)]
)
def test_whether_a_job_may_be_queued_again_is_what_slurm_says(answering, shown, is_allowed) -> None:
    answering("scontrol", f"JobId=8 JobName=wrap JobState=PENDING {shown} Restarts=1\n")
    assert queue.is_requeue_allowed("8") is is_allowed


def test_without_the_command_it_is_said_where_to_run_this(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SurroundingsError, match="no `sbatch` on this machine") as fault:
        ask("sbatch")
    assert "login node" in str(fault.value)
