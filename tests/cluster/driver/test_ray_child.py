"""The executor's side of its child process, with a child that speaks for Ray as a test asks."""

import os
import subprocess
import sys
import time

import pytest

from cluster.errors import SurroundingsError
from cluster.executor import Ending
from cluster.executors.ray import _STARTS, Executor
from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources

CHILD = """
import json, os, sys, time
from multiprocessing.connection import Connection
from pathlib import Path
from cluster.driver_messages import *
from cluster.errors import SurroundingsError
from cluster.executor import Ending, Outcome
from cluster.machine.resources import Resources

HERE = Path(__file__).parent
NODE = Resources(num_cpus=2)

def main(descriptor):
    connection = Connection(descriptor)
    start = connection.recv()
    (HERE / "environment.json").write_text(json.dumps(dict(os.environ)))
    (HERE / "command").write_bytes(Path("/proc/self/cmdline").read_bytes())
    if (HERE / "refuse").exists():
        connection.send(Refused(SurroundingsError("no Ray today", hint="come again")))
        return
    if (HERE / "slow").exists():
        (HERE / "slow").unlink()
        connection.send(Refused(SlowStart("not up in time")))
        return
    if (HERE / "dumb").exists():
        print("the last words")
        os._exit(3)
    connection.send(Started())
    while True:
        try:
            message = connection.recv()
        except EOFError:
            (HERE / "orphaned").touch()
            return
        if isinstance(message, Look):
            connection.send(Looked(nodes=[NODE], free=[NODE], is_answer=True))
        elif isinstance(message, Close):
            return
        elif isinstance(message, Submit):
            act(connection, message)

def act(connection, message):
    if message.entry == "die":
        done = Outcome(ticket="before", ending=Ending.RETURNED, answer="heard in time")
        connection.send(Ended((done,)))
        print("Failed to connect to GCS", flush=True)
        os._exit(1)
    if message.entry == "lose":
        connection.send(Lost("the head is gone"))
        time.sleep(60)
    if message.entry == "secrets":
        answer = json.dumps(dict(message.secrets))
        ended = Outcome(ticket=message.ticket, ending=Ending.RETURNED, answer=answer)
        connection.send(Ended((ended, ended)))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "pretended_ray.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("cluster.executors.ray._CHILD", "pretended_ray")
    return tmp_path


@pytest.fixture
def executor(folder):
    executor = Executor(offered=Resources(num_cpus=2))
    yield executor
    executor.close()


def losing(executor, outcomes=None, limit_s=30):
    until = time.monotonic() + limit_s
    with pytest.raises(SurroundingsError) as fault:
        while time.monotonic() < until:
            ended = executor.wait(0.2)
            if outcomes is None:
                assert not ended
            else:
                outcomes.update({outcome.ticket: outcome for outcome in ended})
    return fault.value


@pytest.mark.parametrize("how", ["die", "lose"])
def test_whatever_ends_the_child_is_one_fault_and_calls_come_back_once(executor, how):
    executor.start()
    executor.submit("before", "stay", "", Resources())
    executor.submit("during", how, "", Resources())
    outcomes = {}
    fault = losing(executor, outcomes)
    assert fault.fault_class is FaultClass.CLUSTER
    assert ("Failed to connect to GCS" if how == "die" else "the head is gone") in fault.error
    with pytest.raises(SurroundingsError, match="Ray has gone"):
        executor.nodes()
    executor.start()
    for outcome in executor.wait(5):
        assert outcome.ticket not in outcomes
        outcomes[outcome.ticket] = outcome
    assert set(outcomes) == {"before", "during"}
    assert outcomes["during"].ending is Ending.LOST
    assert outcomes["during"].fault_class is FaultClass.CLUSTER
    assert (outcomes["before"].answer == "heard in time") == (how == "die")
    assert executor.wait(0.1) == []


def test_a_start_that_fails_may_be_tried_again_and_keeps_the_calls(executor, folder):
    executor.start()
    executor.submit("a", "die", "", Resources())
    losing(executor)
    (folder / "refuse").touch()
    for _ in range(2):
        with pytest.raises(SurroundingsError, match="no Ray today") as fault:
            executor.start()
        assert fault.value.hint == "come again"
    (folder / "refuse").unlink()
    (folder / "dumb").touch()
    with pytest.raises(SurroundingsError, match="exit code 3.*the last words"):
        executor.start()
    (folder / "dumb").unlink()
    executor.start()
    (outcome,) = executor.wait(5)
    assert (outcome.ticket, outcome.ending) == ("a", Ending.LOST)


def test_a_ray_of_our_own_that_is_too_slow_to_come_up_is_started_again(executor, folder):
    (folder / "slow").touch()
    executor.start()
    assert executor.nodes()


def test_a_ray_that_never_comes_up_is_told_after_some_starts(executor, folder, monkeypatch):
    text = CHILD.replace("""(HERE / "slow").unlink()""", """(HERE / str(os.getpid())).touch()""")
    (folder / "pretended_ray.py").write_text(text)
    (folder / "slow").touch()
    monkeypatch.setenv("RAY_something", "1")
    with pytest.raises(SurroundingsError, match="not up in time") as fault:
        executor.start()
    assert "RAY_something" in fault.value.hint
    assert sum(path.name.isdecimal() for path in folder.iterdir()) == _STARTS


def test_files_where_a_launch_was_started_are_no_libraries_of_the_child(
    executor, folder, tmp_path_factory, monkeypatch
):
    there = tmp_path_factory.mktemp("project")
    for name in ("random", "socket", "cluster"):
        (there / f"{name}.py").write_text("raise RuntimeError('imported from the project')")
    monkeypatch.chdir(there)
    executor.start()


def test_an_executor_that_was_not_started_says_so():
    executor = Executor()
    with pytest.raises(SurroundingsError, match="it was not started"):
        executor.nodes()
    executor.close()


def test_secrets_reach_calls_and_no_environment_or_command_line(executor, folder, monkeypatch):
    import json

    key = "-".join(["planted", "value", "1"])
    for name in ("HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, key)
    monkeypatch.setenv("UNKNOWN_TO_ALL", key)
    executor.start()
    executor.submit("a", "secrets", "", Resources())
    (outcome,) = executor.wait(20)
    held = json.loads(outcome.answer)
    assert {"HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY"} <= set(held)
    assert "UNKNOWN_TO_ALL" not in held
    assert key not in (folder / "environment.json").read_text()
    assert key.encode() not in (folder / "command").read_bytes()
    assert executor.wait(0.1) == []  # said twice, heard once


def test_a_key_of_a_service_goes_to_the_calls_that_name_it_alone(folder, monkeypatch):
    import json

    monkeypatch.setenv("LAB_SERVICE", "-".join(["planted", "value", "2"]))
    executor = Executor(offered=Resources(num_cpus=2), keys=["LAB_SERVICE"])
    executor.start()
    executor.submit("a", "secrets", '{"api_key_variable": "LAB_SERVICE"}', Resources())
    executor.submit("b", "secrets", "{}", Resources())
    held = {}
    while len(held) < 2:
        held |= {o.ticket: json.loads(o.answer) for o in executor.wait(20)}
    assert "LAB_SERVICE" in held["a"]
    assert "LAB_SERVICE" not in held["b"]
    executor.close()


def test_the_child_ends_with_a_killed_parent(folder):
    program = (
        "import cluster.executors.ray as r, os, signal\n"
        "r._CHILD = 'pretended_ray'\n"
        "executor = r.Executor()\n"
        "executor.start()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    until = time.monotonic() + 30
    while not (folder / "orphaned").exists():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_launch_imports_no_ray():
    program = "import sys, cluster.executors.ray; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    "address", ["nonsense", "host:port", "host:99999", ":6379", "ray://127.0.0.1:10001", "x" * 999]
)
def test_an_address_of_no_ray_is_a_mistake(address):
    from cluster.errors import UserError

    with pytest.raises(UserError, match="is no address of a Ray") as fault:
        Executor(address=address).start()
    assert fault.value.allowed == ["auto", "host:port"]
