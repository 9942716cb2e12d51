"""One extraction shared by several real processes on a real Ray, and one of them killed in a unit.

Processes are held (SIGSTOP) at their first unit until all are at one, so that all of them compute.
"""

import os
import random
import signal
import threading
import time

import pytest

from jobs.artifacts.job import InputRef, Job
from jobs.kinds.extract import Extract
from jobs.store.store_layout import MARKER, UNITS
from orchestrator.dispatch.execution import run_study
from orchestrator.records.events import Ended, LaunchState
from orchestrator.records.failure import Result
from orchestrator.records.history import History
from orchestrator.records.launch_id import new_launch_id
from orchestrator.records.ledger import read_events
from tests.real_ray import TICK, holder_of

extract = Extract()

pytestmark = pytest.mark.cluster

_LONGEST_S = 180
PARAMS = {"layers": (0, 2), "positions": ("last", "all"), "num_cpus": 0.4}
NUM_UNITS = 60


@pytest.fixture
def inputs(root, pair):
    """A pair of tiny models, and prompts in as many groups as there shall be units."""
    draw = random.Random(9)
    prompts = [
        {
            "prompt": number,
            "group": number % NUM_UNITS,
            "segments": [
                {
                    "role": "prompt",
                    "text": "".join(f" word{draw.randrange(20)}" for _ in range(2 + number % 7)),
                }
            ],
        }
        for number in range(4 * NUM_UNITS)
    ]
    return {**pair[0], "prompts": root.prompts("many", prompts)}


def job_of(inputs, workers):
    params = extract.Params(**PARAMS, workers=workers)
    return Job(
        kind="extract",
        version=extract.VERSION,
        params=params.model_dump(mode="json"),
        identity_params={name: PARAMS[name] for name in ("layers", "positions")},
        inputs={
            name: [InputRef(kind=each.kind, key=each.key, stage=name, cell={})]
            for name, each in inputs.items()
        },
        used=extract.uses(params),
        stage="deltas",
        resources=extract.resources(params),
        workers=extract.workers(params),
    )


class Processes:
    """The processes at a job: which attempt each is, and what it is in the middle of."""

    def __init__(self, artifact):
        self._artifact = artifact
        self._until = time.monotonic() + _LONGEST_S
        self._found = {}

    def look(self):
        """Attempt -> process id, as of now; raises when it was asked for too long."""
        assert time.monotonic() < self._until, f"no more than {self._found} came"
        TICK.wait(0.002)
        for attempt in self._artifact.attempts():
            if attempt not in self._found and (pid := holder_of(self._log(attempt))):
                self._found[attempt] = pid
        return dict(self._found)

    def own(self, attempt):
        """Units that an attempt made or is making itself: nobody links to their files."""
        units = self._folder(attempt) / UNITS
        if not units.exists():
            return {}
        return {place.name: _names(place) for place in units.iterdir() if _is_own(place)}

    def _folder(self, attempt):
        return self._artifact.storage.path(self._artifact.attempt_folder(attempt))

    def _log(self, attempt):
        return str(self._folder(attempt) / "log.txt")


def _names(place):
    return {path.name for path in place.iterdir()}


def _is_own(place):
    try:
        return all(path.stat().st_nlink == 1 for path in place.iterdir()) and bool(_names(place))
    except FileNotFoundError:  # a name that was renamed meanwhile
        return False


def hold_until_all_compute(processes, workers):
    """Stop each at its first own unit; let all go on together. Returns attempt -> own units."""
    held = {}
    stopped = []
    try:
        while len(held) < workers:
            found = processes.look()
            for attempt in found.keys() - held.keys():
                if own := processes.own(attempt):
                    os.kill(found[attempt], signal.SIGSTOP)
                    stopped.append(found[attempt])
                    held[attempt] = own
        return held
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def kill_one_in_the_middle_of_a_unit(processes):
    """Returns (attempt, unit): its files are begun, and its marker is not there."""
    while True:
        for attempt, pid in processes.look().items():
            os.kill(pid, signal.SIGSTOP)
            begun = [unit for unit, names in processes.own(attempt).items() if MARKER not in names]
            os.kill(pid, signal.SIGKILL if begun else signal.SIGCONT)
            if begun:
                return attempt, begun[0]


def launched(ray, root, inputs, workers, meanwhile):
    """Launch the job while `meanwhile(processes)` runs; (what that found, results, artifact)."""
    from jobs.artifacts.artifact import Artifact

    job = job_of(inputs, workers)
    artifact = Artifact(root.storage, "extract", job.key)
    found = []
    watching = threading.Thread(
        target=lambda: found.append(meanwhile(Processes(artifact))), daemon=True
    )
    watching.start()
    report = run_study(
        [job],
        done={each.key for each in inputs.values()},
        storage=root.storage,
        study="study",
        launch=new_launch_id(),
        executor=ray,
        executor_name="ray",
        past=History(),
    )
    watching.join()
    assert report.state is LaunchState.COMPLETE
    results = [e.result for e in read_events(root.storage, "study") if isinstance(e, Ended)]
    return found[0], results, artifact


def digests(artifact):
    return {name: entry.xxh3 for name, entry in artifact.record.files.items()}


@pytest.fixture
def alone(root, inputs):
    """Digests of the store as one process makes it, without Ray."""
    artifact = root.done("extract", {"layers": [0, 2], "positions": ["last", "all"]}, **inputs)
    assert artifact.facts["store"]["num_units"] == NUM_UNITS
    return digests(artifact)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_so_many_processes_share_an_extraction_and_its_bytes_are_the_same(
    ray, root, inputs, alone, workers
):
    """Lesson 38: workers find out which units are left; nobody needs to agree on slices."""
    shares, results, artifact = launched(
        ray, root, inputs, workers, lambda those: hold_until_all_compute(those, workers)
    )
    assert len(shares) == workers
    assert all(shares.values())
    assert (results.count(Result.DONE), results.count(Result.REUSED)) == (1, workers - 1)
    assert digests(artifact) == alone
    assert artifact.facts["execution"]["workers"] == workers


def test_a_process_killed_in_the_middle_of_a_unit_costs_that_unit_alone(ray, root, inputs, alone):
    def kill(processes):
        hold_until_all_compute(processes, 3)
        return kill_one_in_the_middle_of_a_unit(processes)

    (attempt, unit), results, artifact = launched(ray, root, inputs, 3, kill)
    assert (results.count(Result.LOST), results.count(Result.DONE)) == (1, 1)
    assert artifact.record.attempt != attempt
    left = artifact.storage.list(f"{artifact.attempt_folder(attempt)}/{UNITS}/{unit}")
    assert left and MARKER not in left
    assert digests(artifact) == alone
