"""A launch of one long probe on a Ray of its own, in a process that a test stops and continues."""

import sys

from cluster.executors.ray import Executor
from cluster.machine.resources import Resources
from cluster.storage import Storage
from jobs.artifacts.job import Job
from jobs.kinds.probe import Probe
from jobs.params import execution_names
from orchestrator.dispatch import submitter
from orchestrator.dispatch.execution import run_study
from orchestrator.records.history import read_history
from orchestrator.records.launch_id import new_launch_id
from orchestrator.records.lock import study_lock
from orchestrator.watchdog.limits import Limits
from tests.orchestrator.watchdog import hanging


def main(folder: str) -> int:
    """Launch under a root of this folder, with a limit of a second beyond three steps."""
    probe, storage, launch = Probe(), Storage(folder), new_launch_id()
    params = probe.Params(index=hanging.LONG)
    job = Job(
        kind="probe",
        version=probe.VERSION,
        params=params.model_dump(),
        identity_params=params.model_dump(exclude=execution_names(probe.Params)),
        inputs={},
        used=frozenset(),
        stage="probes",
        cell={"index": "0"},
        resources=probe.resources(params),
        workers=1,
    )
    submitter.ENTRY = hanging.ENTRY
    with study_lock(storage, "study", launch) as held:
        report = run_study(
            [job],
            done=set(),
            storage=storage,
            study="study",
            launch=launch,
            executor=Executor(offered=Resources(num_cpus=1)),
            executor_name="ray",
            past=read_history(storage, "study"),
            held=held,
            limits=Limits(step_slack_s=4.0),
        )
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
