"""A Ray of our own beside another: what a shell says of that one neither binds nor breaks ours."""

import json
import os

import pytest

from cluster.errors import SurroundingsError, UserError
from cluster.executor import Ending
from cluster.executors.ray import Executor
from cluster.machine.resources import Resources
from tests.real_ray import calling

OF_ANOTHER = {
    "RAY_ADDRESS": "10.9.9.9:6379",
    "RAY_REDIS_ADDRESS": "10.9.9.9:6379",
    "RAY_USE_TLS": "1",
    "RAY_TLS_SERVER_CERT": "/nowhere/certificate",
    "RAY_RUNTIME_ENV_HOOK": "a_module.that_is_not_here.hook",
    "RAY_JOB_CONFIG_JSON_ENV_VAR": '{"runtime_env": {"pip": ["x"]}, "metadata": {}}',
    "RAY_NAMESPACE": "another",
    "RAY_memory_monitor_refresh_ms": "",
}
KEPT = {"RAY_BACKEND_LOG_LEVEL": "warning", "RAY_memory_usage_threshold": "0.99"}
CALLS = """
import json, os

def seen(payload, surroundings):
    return json.dumps([name for name in json.loads(payload) if name in os.environ])
"""


def test_our_own_ray_starts_in_a_shell_of_another_and_its_jobs_see_nothing_of_that(tmp_path):
    with calling(
        tmp_path, "seen_calls", CALLS, Resources(num_cpus=1), **OF_ANOTHER, **KEPT
    ) as executor:
        executor.submit("a", "seen_calls:seen", json.dumps([*OF_ANOTHER, *KEPT]), Resources())
        (outcome,) = executor.wait(60)
    assert outcome.ending is Ending.RETURNED, outcome.error
    # Where our own Ray is, Ray itself tells its workers.
    assert set(json.loads(outcome.answer)) - {"RAY_ADDRESS"} == KEPT.keys()


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("RAY_memory_usage_threshold", "90", "0.9"),
        ("RAY_memory_usage_threshold", "95%", "0.95"),
        ("RAY_memory_usage_threshold", "nan", None),
        ("RAY_memory_usage_threshold", "much", None),
        ("RAY_memory_monitor_refresh_ms", "abc", None),
        ("RAY_memory_monitor_refresh_ms", "-1", None),
        ("RAY_min_memory_free_bytes", "4e9", None),
        ("RAY_min_memory_free_bytes", str(2**64), None),
    ],
)
def test_a_setting_of_the_memory_monitor_that_is_no_number_is_told_before_ray_starts(
    monkeypatch, name, value, hint
):
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as fault:
        Executor(offered=Resources(num_cpus=1)).start()
    assert name in fault.value.where and repr(value) in fault.value.error
    assert (hint or "") in (fault.value.hint or "") and (fault.value.hint is None) == (hint is None)


def test_where_ray_ends_without_a_word_its_variables_that_were_set_are_named(monkeypatch):
    monkeypatch.setenv("RAY_max_grpc_message_size", "much")
    monkeypatch.setenv("RAY_USE_TLS", "1")  # taken away, so it is not what ended it
    with pytest.raises(SurroundingsError) as fault:
        Executor(offered=Resources(num_cpus=1)).start()
    assert "RAY_max_grpc_message_size" in fault.value.hint
    assert "RAY_USE_TLS" not in fault.value.hint
    assert os.environ["RAY_USE_TLS"] == "1"
