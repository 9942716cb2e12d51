"""Prints how far a study is as one number, which batch scripts compare from start to start.

It is the number of jobs that are done, and of each other job the share that its last attempt wrote.
"""

import sys

from cluster.storage import Storage


def progress_of(root: Storage, study: str) -> float:
    """Return how far a study is: it grows while jobs end, or only get on."""
    from orchestrator.plan.decided_plan import decide_plan
    from orchestrator.plan.decisions import Decision
    from orchestrator.plan.study_folder import open_study
    from orchestrator.records.attempt_progress import read_progress

    decided = decide_plan(root, open_study(root, study))
    done = decided.keys(Decision.REUSE)
    further = 0.0
    for key, past in decided.history.jobs.items():
        job = decided.plan.by_key.get(key)
        if job is not None and key not in done and past.attempt is not None:
            further += read_progress(root, job, [past.attempt]).fraction or 0.0
    return len(done) + further


if __name__ == "__main__":
    sys.stdout.write(f"{progress_of(Storage(sys.argv[2]), sys.argv[1]):.6f}\n")
