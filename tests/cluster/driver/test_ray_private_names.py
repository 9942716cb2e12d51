"""The names that Ray does not promise and `cluster/` uses: a new Ray that moved one fails here."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.gangs.gang_variables import RAY_TRAIN_VARIABLES

ray = pytest.importorskip("ray")


def test_ray_still_prints_raylet_messages_by_the_name_that_the_executor_replaces():
    from ray._private import worker

    assert list(inspect.signature(worker.print_to_stdstream).parameters) == [
        "data",
        "ignore_prefix",
    ]
    # Looked up in the module at every message, so that replacing the module's name is enough.
    assert "print_to_stdstream" in inspect.getsource(worker.connect)


def test_ray_still_tells_what_nodes_have_left_and_which_are_drained():
    from ray._private.state import state

    assert not inspect.signature(state.available_resources_per_node).parameters
    assert not inspect.signature(state.get_draining_nodes).parameters


def test_ray_still_writes_down_where_tasks_were_sent():
    from ray._private.state import state
    from ray.core.generated.gcs_pb2 import TaskEvents

    assert not inspect.signature(state._get_all_task_events).parameters
    assert {"task_id", "state_updates"} <= set(TaskEvents.DESCRIPTOR.fields_by_name)
    updates = TaskEvents.DESCRIPTOR.fields_by_name["state_updates"].message_type
    assert {"node_id", "worker_id"} <= set(updates.fields_by_name)


def test_ray_still_writes_down_how_processes_ended():
    from ray._private.state import state
    from ray._raylet import GlobalStateAccessor
    from ray.core.generated.gcs_pb2 import WorkerTableData

    assert callable(state._connect_and_get_accessor)
    assert callable(GlobalStateAccessor.get_worker_table)
    fields = set(WorkerTableData.DESCRIPTOR.fields_by_name)
    assert {"is_alive", "worker_address", "exit_detail"} <= fields


def test_ray_still_has_what_a_launch_knows_of_tokens_and_loopback():
    from ray._private import ray_constants
    from ray._private.authentication import authentication_token_setup
    from ray._private.worker import _global_node
    from ray._raylet import AuthenticationTokenLoader, GcsClient

    assert authentication_token_setup.AUTH_MODE_ENV_VAR == "RAY_AUTH_MODE"
    assert callable(authentication_token_setup._enable_token_auth)
    assert callable(AuthenticationTokenLoader.has_token)
    assert callable(AuthenticationTokenLoader.reset_cache)
    assert callable(GcsClient)
    assert ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR == "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
    assert _global_node is None


def test_ray_still_names_an_archive_by_its_content_and_holds_what_it_is_asked_to(tmp_path):
    from ray._private.runtime_env.packaging import get_uri_for_package
    from ray._raylet import InnerGcsClient

    (tmp_path / "code.zip").write_bytes(b"1")
    (tmp_path / "other.zip").write_bytes(b"1")
    names = {get_uri_for_package(tmp_path / name) for name in ("code.zip", "other.zip")}
    assert len(names) == 1
    assert callable(InnerGcsClient.pin_runtime_env_uri)  # to which `GcsClient` passes calls on


def test_ray_still_imports_modules_in_processes_before_their_first_task():
    from ray._private.workers import default_worker

    source = Path(default_worker.__file__).read_text()
    assert '"--worker-preload-modules"' in source
    assert "try_import_each_module" in source


def test_ray_still_says_by_these_words_that_its_processes_were_not_up_in_time():
    from ray._private import node

    from cluster.driver.ray_session import _GAVE_UP

    assert _GAVE_UP in Path(node.__file__).read_text()


def test_ray_still_has_the_exceptions_that_say_whose_fault_it_is():
    from cluster.driver.ray_endings import _CLASSES

    assert all(issubclass(getattr(ray.exceptions, name), Exception) for name in _CLASSES)


def test_ray_train_still_has_the_backend_that_gangs_extend():
    from ray.train.torch import TorchConfig
    from ray.train.torch.config import _TorchBackend

    assert list(inspect.signature(_TorchBackend.on_start).parameters) == [
        "self",
        "worker_group",
        "backend_config",
    ]
    assert isinstance(TorchConfig.backend_cls, property)


def test_ray_train_still_has_the_parts_that_the_trainer_of_gangs_replaces():
    from ray.train.v2._internal.execution.controller import TrainController
    from ray.train.v2._internal.execution.worker_group import WorkerGroup
    from ray.train.v2._internal.execution.worker_group.worker import RayTrainWorker

    from cluster.gangs.gang_trainer import _NOT_FOR_GANGS, GangTrainer, _Ranks
    from cluster.gangs.spare_rank import SpareRank

    for one in (GangTrainer, _Ranks):
        replaced = {name for name in vars(one) if not name.startswith("__")} - {"spares"}
        assert all(hasattr(one.__base__, name) for name in replaced), one
    called = set(
        re.findall(r"(?<!sync_)actor\.(\w+)\.(?:remote|options)\(", _source_of_worker_groups())
    )
    assert called - {"mark_preempt", "clear_result_queue"} <= set(vars(SpareRank))
    made = inspect.getsource(GangTrainer.__base__._create_default_callbacks)
    assert all(one.__name__ in made for one in _NOT_FOR_GANGS)
    assert "self.worker_group_cls.create(" in inspect.getsource(TrainController)
    for name in ("_create_placement_group", "_init_train_context_on_workers"):
        assert f"self.{name}(" in inspect.getsource(WorkerGroup)
    given = inspect.getsource(WorkerGroup._init_train_context_on_workers)
    for name in inspect.signature(RayTrainWorker.init_train_context).parameters:
        has_default = name in ("self", "dataset_shard_provider", "checkpoint")
        has_default |= name in ("has_validation_fn", "current_report_index")
        assert has_default or f"{name}=" in given


def _source_of_worker_groups():
    from ray.train.v2._internal.execution import worker_group

    folder = Path(worker_group.__file__).parent
    return "".join(file.read_text() for file in sorted(folder.glob("*.py")))


def test_ray_train_still_has_the_errors_that_gangs_tell_apart():
    from ray.train import ControllerError, WorkerGroupError
    from ray.train.v2._internal.constants import is_v2_enabled
    from ray.train.v2._internal.exceptions import (
        WorkerGroupStartupTimeoutError,
        WorkerHealthCheckFailedError,
    )

    cause = ValueError("cause")
    assert ControllerError(cause).controller_failure is cause
    assert WorkerGroupError("message", {3: cause}).worker_failures == {3: cause}
    assert WorkerHealthCheckFailedError("message", cause).health_check_failure is cause
    assert issubclass(WorkerGroupStartupTimeoutError, Exception)
    assert callable(is_v2_enabled)


def test_ray_still_reads_every_variable_that_gangs_set():
    folder = Path(ray.__file__).parent
    places = ("train/constants.py", "train/v2/_internal/constants.py", "tune/tune.py")
    source = "".join((folder / place).read_text() for place in places)
    assert not [name for name in RAY_TRAIN_VARIABLES if f'"{name}"' not in source]


def test_ray_still_prepares_to_send_objects_before_a_session_begins_and_without_pyarrow():
    script = """
import sys
from cluster.driver.spared_import import leave_out_pyarrow
leave_out_pyarrow()
assert not {"ray", "pyarrow"} & set(sys.modules)
import ray
from ray._private.worker import global_worker
assert not global_worker.serialization_context_map
leave_out_pyarrow()
(prepared,) = global_worker.serialization_context_map.values()
assert not {"numpy", "pyarrow"} & set(sys.modules)
assert global_worker.get_serialization_context() is prepared
import pyarrow
assert prepared.serialize({"a": [1]}).total_bytes > 0
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
