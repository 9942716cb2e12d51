"""Calls on a Ray of our own run the code as it was when the launch began."""

import pytest

from cluster.executor import Ending
from cluster.executors.ray import Executor
from cluster.machine.resources import Resources
from tests.real_ray import first_outcome

CODE = '''
"""A package whose file is edited while calls run."""
def tell(payload, surroundings):
    from edited_calls.answer import ANSWER
    return ANSWER
def place_of_early(payload, surroundings):
    import sys
    module = sys.modules.get("edited_calls.early")
    return "" if module is None else module.__file__
def spared(payload, surroundings):
    import sys
    imported = [name for name in ("numpy", "pyarrow") if name in sys.modules]
    import pyarrow
    return f"{imported}, then {pyarrow.array([1])[0]}"
'''


@pytest.mark.cluster
def test_an_edit_in_the_checkout_reaches_no_call_of_a_running_launch(tmp_path, monkeypatch):
    package = tmp_path / "edited_calls"
    package.mkdir()
    (package / "__init__.py").write_text(CODE)
    (package / "answer.py").write_text("ANSWER = 'as it was'\n")
    (package / "early.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    executor = Executor(
        offered=Resources(num_cpus=1),
        packages=["cluster", "edited_calls"],
        preloaded=["edited_calls.early"],
    )
    executor.start()
    try:
        (package / "answer.py").write_text("ANSWER = 'edited'\n")
        executor.submit("a", "edited_calls:tell", "", Resources())
        outcome = first_outcome(executor, 120)
        assert (outcome.ending, outcome.answer) == (Ending.RETURNED, "as it was"), outcome.error
        executor.submit("b", "edited_calls:place_of_early", "", Resources())
        early = first_outcome(executor, 120).answer
        # Imported before any call came, and from the copy.
        assert early and not early.startswith(str(tmp_path))
        executor.submit("c", "edited_calls:spared", "", Resources())
        # Ray would have imported both before the first call came.
        assert first_outcome(executor, 120).answer == "[], then 1"
    finally:
        executor.close()


@pytest.mark.cluster
def test_a_launch_whose_folder_was_deleted_under_it_runs_its_calls(tmp_path, monkeypatch):
    package = tmp_path / "other_calls"
    package.mkdir()
    (package / "__init__.py").write_text("def echo(payload, surroundings):\n    return payload\n")
    (tmp_path / "gone").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    executor = Executor(offered=Resources(num_cpus=1), packages=["cluster", "other_calls"])
    executor.start()
    try:
        executor.submit("a", "other_calls:echo", "heard", Resources())
        outcome = first_outcome(executor, 120)
        assert (outcome.ending, outcome.answer) == (Ending.RETURNED, "heard"), outcome.error
    finally:
        executor.close()
