"""Whose fault a failure is, once its words are read, and which of several ranks is the cause."""

import json

import pytest

from cluster.executor import Ending, Outcome, RankEnding
from cluster.fault_classes import FaultClass
from jobs.worker.answer import Answer, Code, Fault, State
from orchestrator.diagnosis.diagnosis import REFINED, Diagnostics, Failure
from orchestrator.diagnosis.rank_report import RankReport
from orchestrator.diagnosis.sentences import describe_failure
from orchestrator.diagnosis.signature import KnownFailure
from orchestrator.diagnosis.witnesses import judge
from orchestrator.dispatch.failure_notes import rank_reports
from orchestrator.dispatch.worker_messages import result_of

RAY_DIED = (
    "WorkerCrashedError: The worker died unexpectedly while executing this task. There are some "
    "potential root causes. (1) The process is killed by SIGKILL by OOM killer"
)
PEER = (
    "RuntimeError: [../third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer"
)
ALONE = (RankReport(),)
NO_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."


@pytest.fixture
def diagnose(root, make_probe):
    """A function: class, message, logs by rank, reports -> the diagnosis."""
    job = make_probe(1)

    def made(fault_class, message="", logs=None, ranks=ALONE, files=None):
        folder = f"{job.folder}/attempts/one"
        for rank, text in (logs or {}).items():
            name = "log.txt" if rank == 0 else f"log-rank-{rank}.txt"
            root.write(f"{folder}/{name}", text.encode())
        for name, value in (files or {}).items():
            root.write(f"{folder}/{name}", json.dumps(value).encode())
        return Diagnostics(root).diagnose(
            Failure(
                job=job,
                attempt="one",
                result="error",
                fault_class=fault_class,
                message=message,
                ranks=ranks,
            )
        )

    return made


@pytest.mark.parametrize("known", list(FaultClass), ids=lambda known: known.name)
def test_words_say_more_only_where_little_is_known(diagnose, known):
    found = diagnose(known, logs={0: "OSError: [Errno 28] No space left on device\n"})
    assert found.fault_class is (FaultClass.STORAGE_FULL if known in REFINED else known)


def test_a_known_class_is_named_by_its_own_signature_alone(diagnose):
    words = {0: "OSError: [Errno 28] No space left on device\n"}
    assert diagnose(FaultClass.HUNG, logs=words).evidence.signature is None
    assert diagnose(FaultClass.STORAGE_FULL, logs=words).evidence.signature == "no-space-left"


def test_a_signature_that_took_too_long_is_named_and_tried_no_more(root, make_probe):
    slow = KnownFailure(
        name="slow", pattern="(a|aa)+$", fault_class=FaultClass.NETWORK, remedy="-", origin="mine"
    )
    diagnostics = Diagnostics(root, [slow])
    failure = Failure(
        job=make_probe(1),
        attempt="one",
        result="error",
        fault_class=FaultClass.PROGRAM,
        message="RuntimeError: " + "a" * 60 + "!",
    )
    assert list(diagnostics.diagnose(failure).evidence.overdue) == ["slow"]
    assert list(diagnostics.diagnose(failure).evidence.overdue) == []


def test_errors_about_values_are_not_read(diagnose):
    message = "ValueError: the text 'No space left on device' is no number"
    assert diagnose(FaultClass.PROGRAM, message).fault_class is FaultClass.PROGRAM


def test_the_first_rank_that_failed_is_the_cause(diagnose):
    ranks = [
        RankReport(rank=0, place=0, fault_class=FaultClass.COLLATERAL, message=PEER, node="a"),
        RankReport(rank=1, place=1, fault_class=FaultClass.OUT_OF_MEMORY, message=NO_MEMORY),
        RankReport(rank=2, node="b"),
    ]
    found = diagnose(FaultClass.COLLATERAL, PEER, ranks=ranks)
    assert found.fault_class is FaultClass.OUT_OF_MEMORY
    assert found.message == NO_MEMORY
    assert (found.evidence.first, list(found.evidence.collateral)) == (1, [0, 2])
    assert [rank.how for rank in found.evidence.ranks] == ["collateral", "failed", "collateral"]
    assert describe_failure(found.evidence).startswith("out of memory (gpu-out-of-memory) rank 1")


def test_a_death_outweighs_what_others_say_of_it(diagnose):
    ranks = [
        RankReport(rank=0, place=0, fault_class=FaultClass.COLLATERAL, message=PEER),
        RankReport(rank=1, is_dead=True, fault_class=FaultClass.LOST_PROCESS, message=RAY_DIED),
        RankReport(rank=2, place=1, fault_class=FaultClass.PROGRAM, message="RuntimeError: what?"),
    ]
    found = diagnose(FaultClass.LOST_PROCESS, ranks=ranks)
    assert (found.fault_class, found.evidence.first) == (FaultClass.LOST_PROCESS, 1)


def test_a_rank_that_fell_out_of_nccl_is_no_cause_though_it_died(diagnose):
    watchdog = (
        "[rank1]:[E1129 01:02:03.4 ProcessGroupNCCL.cpp:685] [Rank 1] Watchdog caught collective "
        "operation timeout: WorkNCCL(SeqNum=7, OpType=ALLREDUCE) ran for 900000 milliseconds "
        "before timing out.\nFatal Python error: Aborted\n"
    )
    ranks = [
        RankReport(rank=0, is_dead=True, fault_class=FaultClass.LOST_PROCESS, message=RAY_DIED),
        RankReport(rank=1, is_dead=True, fault_class=FaultClass.LOST_PROCESS, message=RAY_DIED),
    ]
    bus = "Fatal Python error: Bus error\n"
    found = diagnose(FaultClass.LOST_PROCESS, logs={0: bus, 1: watchdog}, ranks=ranks)
    assert (found.evidence.first, found.evidence.signature) == (0, "shared-memory-full")
    assert [rank.signal for rank in found.evidence.ranks] == ["SIGBUS", "SIGABRT"]


def test_a_gang_is_read_from_the_answers_of_its_ranks():
    def answer(fault_class, message):
        fault = Fault(code=Code.FAULT, message=message, fault_class=fault_class)
        evidence = {"pid": 7, "heartbeat": {"step": 40, "steps": 200}}
        return Answer(state=State.FAILED, fault=fault, evidence=evidence).to_json()

    outcome = Outcome(
        ticket="one",
        ending=Ending.RETURNED,
        answer=answer(FaultClass.COLLATERAL, PEER),
        ranks=(
            RankEnding(rank=0, place=0, answer=answer(FaultClass.COLLATERAL, PEER)),
            RankEnding(rank=1, place=1, answer=answer(FaultClass.OUT_OF_MEMORY, NO_MEMORY)),
            RankEnding(rank=2, is_dead=True, error=RAY_DIED),
        ),
    )
    first, second, third = rank_reports(outcome, result_of(outcome))
    assert (first.fault_class, second.fault_class) == (
        FaultClass.COLLATERAL,
        FaultClass.OUT_OF_MEMORY,
    )
    assert second.reported["heartbeat"]["step"] == 40
    assert third.is_dead and third.fault_class is FaultClass.LOST_PROCESS


DIED = (RankReport(is_dead=True, fault_class=FaultClass.LOST_PROCESS, message=RAY_DIED),)
BEAT = {"rank": 0, "beat": 9, "node": "a", "pid": 7, "step": 40, "steps": 200, "memory_gb": 20.0}


def seen(**kills):
    others = [{"pid": 9, "name": "chrome", "user": "b", "gb": 12.5}]
    return {"oom_kills": kills, "others": others, "memory": {"host_gb": 32.0, "host_used_gb": 12.0}}


def test_a_kill_without_a_second_witness_is_a_lost_process(diagnose):
    files = {"witnesses/log.json": seen(host=0, group=0), "alive/0.json": BEAT}
    found = diagnose(FaultClass.LOST_PROCESS, RAY_DIED, {0: "loading\n"}, DIED, files)
    (rank,) = found.evidence.ranks
    assert found.fault_class is FaultClass.LOST_PROCESS
    assert (found.evidence.signature, rank.signal, rank.step, rank.steps) == (None, None, 40, 200)
    assert rank.memory["process_gb"] == 20.0 and rank.others[0]["name"] == "chrome"


def test_the_kernels_count_is_a_second_witness(diagnose):
    files = {"witnesses/log.json": seen(host=1, group=1), "alive/0.json": BEAT}
    found = diagnose(FaultClass.LOST_PROCESS, RAY_DIED, {0: "loading\n"}, DIED, files)
    (rank,) = found.evidence.ranks
    assert found.fault_class is FaultClass.OUT_OF_MEMORY
    assert (found.evidence.signature, rank.signal) == ("cgroup-out-of-memory", "SIGKILL")
    assert "held 20.0 GB" in found.evidence.witnesses[0]
    assert "memory:" in found.evidence.remedy


def test_a_larger_neighbour_is_at_fault_for_a_kill():
    told = judge(seen(host=1), own_gb=3.0)
    assert told.fault_class is FaultClass.HOST_MEMORY
    assert told.signature == "host-killed-for-memory" and "chrome" in told.sentences[0]
    assert judge(seen(host=1), own_gb=None).fault_class is FaultClass.OUT_OF_MEMORY


@pytest.mark.parametrize(
    "in_group, fault_class",
    [(True, FaultClass.HOST_MEMORY), (False, FaultClass.OUT_OF_MEMORY)],
)
def test_where_a_group_was_full_only_its_own_processes_are_at_fault(in_group, fault_class):
    other = {"pid": 7, "name": "chrome", "gb": 60.0, "in_group": in_group}
    told = judge({**seen(host=1, group=1), "others": [other]}, own_gb=15.0)
    assert told.fault_class is fault_class and ("chrome" in told.sentences[0]) is in_group
    assert told.others == [other]


def test_a_testimony_that_is_damaged_says_nothing(diagnose):
    files = {"witnesses/log.json": [1, 2]}
    found = diagnose(FaultClass.LOST_PROCESS, RAY_DIED, {0: "loading\n"}, DIED, files)
    assert found.fault_class is FaultClass.LOST_PROCESS


def test_what_the_kernel_wrote_is_read(diagnose):
    line = "NVRM: Xid (PCI:0000:17:00): 79, pid='<unknown>', GPU has fallen off the bus."
    files = {"witnesses/log.json": {"kernel": [line]}}
    found = diagnose(FaultClass.LOST_PROCESS, RAY_DIED, {0: "loading\n"}, DIED, files)
    assert (found.fault_class, found.evidence.signature) == (FaultClass.GPU, "gpu-off-the-bus")
