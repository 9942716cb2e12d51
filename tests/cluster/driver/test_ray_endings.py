"""What is said of a call that ended outside of its entry point."""

import pytest

from cluster.driver.ray_endings import CallAt, outcome_of
from cluster.executor import Ending
from cluster.machine.resources import Resources

CALL = CallAt(ticket="a", task="00", resources=Resources())


@pytest.mark.parametrize("is_derived", [False, True])
def test_an_error_that_a_task_of_ray_raised_is_said_by_its_cause(is_derived):
    from ray.exceptions import RayTaskError

    cause = ModuleNotFoundError("No module named 'jobs'")
    trace = "ray::a() (pid=7, ip=10.0.0.1)\n  File somewhere\nModuleNotFoundError: No module"
    fault = RayTaskError("a", trace, cause, pid=7, ip="10.0.0.1")
    outcome = outcome_of(
        fault.as_instanceof_cause() if is_derived else fault, CALL, None, is_cancelled=False
    )
    assert outcome.ending is Ending.RAISED
    assert outcome.error == "ModuleNotFoundError: No module named 'jobs'"
    assert outcome.node == "10.0.0.1"
