"""What is kept of a failed attempt, in its folder and in the ledger, and that no secret is."""

import json

import pytest

from cluster.executor import Ending, Outcome
from cluster.executors.local import Executor as LocalExecutor
from cluster.fault_classes import FaultClass
from orchestrator.diagnosis.evidence import Evidence, RankEvidence, evidence_name, read_evidence
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.records.events import Ended
from orchestrator.records.failure import Result
from orchestrator.records.ledger import read_events

TOKEN = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ01234567"


class Dying(LocalExecutor):
    """Every call writes the last words that the test gives into its log, and dies."""

    def __init__(self, root, words):
        super().__init__()
        self.root, self.words, self.now = root, words, 1000.0

    @property
    def patience(self):
        """Ten seconds of a clock that only waiting moves."""
        return Patience(gives_up_after_s=10, clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds):
        self.now += seconds

    def wait(self, timeout_s):
        if not self._queue:
            self.sleep(timeout_s)
            return []
        ticket, _, payload = self._queue.popleft()
        assignment = json.loads(payload)
        folder = f"artifacts/{assignment['kind']}/{assignment['key'][:16]}/attempts/{ticket}"
        self.root.write(f"{folder}/log.txt", self.words.encode())
        error = "WorkerCrashedError: The worker died unexpectedly while executing this task."
        return [
            Outcome(
                ticket=ticket,
                ending=Ending.LOST,
                error=error,
                node="10.0.0.7",
                fault_class=FaultClass.LOST_PROCESS,
            )
        ]


def endings(root):
    return [event for event in read_events(root, "study") if isinstance(event, Ended)]


def test_a_failed_attempt_leaves_evidence_and_the_ledger_its_sum(root, launch, make_probe):
    job = make_probe(1, holds_gb=2.0, limit_gb=1.0)
    launch([job])
    first = endings(root)[0]
    evidence = read_evidence(root, job, first.attempt)
    assert evidence.fault_class == "out-of-memory" == first.fault_class.value
    (rank,) = evidence.ranks
    assert "OutOfMemory" in rank.stack[-1] and rank.pid and rank.node
    assert 0 < rank.memory["process_gb"] <= rank.memory["host_used_gb"] <= rank.memory["host_gb"]
    assert any("are more than 1 GB" in line for line in rank.log_tail)
    assert first.decision and first.decided_by


def test_a_death_is_told_by_its_last_words(root, launch, make_probe):
    words = "loading\nRuntimeError: [Errno 98] Address already in use\n"
    launch.executor = Dying(root, words)
    job = make_probe(1)
    report = launch([job], patience=launch.executor.patience)
    ended = endings(root)[0]
    assert report.state.value == "suspended"  # it waited, and was charged nothing
    assert (ended.fault_class, ended.result) == (FaultClass.PORT, Result.ERROR)
    assert (ended.signature, ended.decision) == ("port-in-use", "wait")
    evidence = read_evidence(root, job, ended.attempt)
    assert evidence.reported_class == "lost-process"
    assert evidence.matched == "RuntimeError: [Errno 98] Address already in use"
    assert "ss -ltnp" in evidence.remedy


def test_without_words_a_death_is_a_lost_process(root, launch, make_probe):
    launch.executor = Dying(root, "loading\n")
    launch([make_probe(1)], patience=launch.executor.patience)
    assert {event.fault_class for event in endings(root)} == {FaultClass.LOST_PROCESS}
    assert {event.signature for event in endings(root)} == {None}


def test_evidence_holds_no_secrets(root, launch, make_probe):
    launch.executor = Dying(root, f"token {TOKEN}\n")
    job = make_probe(1)
    launch([job], patience=launch.executor.patience)
    text = root.read(evidence_name(root, job, endings(root)[0].attempt)).decode()
    assert TOKEN not in text and "token <" in text


def test_evidence_is_read_as_written_and_what_is_damaged_is_none(root, make_probe):
    job = make_probe(1)
    evidence = Evidence(
        attempt="one",
        key=job.key,
        fault_class="gpu",
        ranks=[RankEvidence(rank=1, step=40, gpus=[{"gpu": 2, "total_gb": 24.0}])],
    )
    name = evidence_name(root, job, "one")
    root.write(name, evidence.to_json().encode())
    assert read_evidence(root, job, "one") == evidence
    root.write(name, b'{"attempt": 7')
    assert read_evidence(root, job, "one") is None


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
