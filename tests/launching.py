"""Launches of a study in this process, on one root."""

from contextlib import nullcontext

from cluster.executors.local import Executor
from orchestrator.dispatch.watcher import Watcher
from orchestrator.launch import launch
from orchestrator.plan.decided_plan import decide_plan
from orchestrator.study.study import load_study


def launch_locally(root, path, text):
    """Write a study to a file, launch it without a word, and return its plan afterwards."""
    path.write_text(text)
    study = load_study(path)
    watched = {"executor_name": "local", "progress": lambda: nullcontext(Watcher())}
    launch(root, study, executor=Executor(), **watched)
    return decide_plan(root, study).plan
