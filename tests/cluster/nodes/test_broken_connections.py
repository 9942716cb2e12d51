"""A process that Ray ended because the line to it broke is told from one that ended by itself."""

import pytest

from cluster.nodes import ray_nodes
from cluster.nodes.ray_nodes import broken_connection_of

# As Ray 2.60 wrote them down on two hosts, after `ss -K` and after `kill -9`.
RESET = (
    "The leased worker has unrecoverable failure. Worker is requested to be destroyed when it is "
    "returned. RPC error: recvmsg:Connection reset by peer"
)
KILLED = (
    "Worker unexpectedly exits with a connection error code 2. End of file. Some common causes "
    "include: (1) the process was killed by the OOM killer due to high memory usage"
)


@pytest.fixture
def head(monkeypatch):
    """What the head of a Ray knows of one task and of processes."""
    from ray.core.generated.gcs_pb2 import TaskEvents, WorkerTableData

    class Head:
        rows = ()

        def _get_all_task_events(self):
            event = TaskEvents(task_id=b"task")
            event.state_updates.worker_id = b"its worker"
            return [TaskEvents(task_id=b"else"), event]

        def _connect_and_get_accessor(self):
            return self

        def get_worker_table(self):
            return self.rows

    def worker(name, detail, is_alive=False):
        row = WorkerTableData(is_alive=is_alive, exit_detail=detail)
        row.worker_address.worker_id = name
        return row.SerializeToString()

    head = Head()
    head.worker = worker
    monkeypatch.setattr(ray_nodes, "_state", lambda: head)
    return head


def test_a_line_that_broke_is_named_for_the_task_whose_it_was(head):
    head.rows = [head.worker(b"another", KILLED), head.worker(b"its worker", RESET)]
    assert broken_connection_of(b"task".hex()) == "recvmsg:Connection reset by peer"
    assert broken_connection_of(b"else".hex()) is None


@pytest.mark.parametrize(("detail", "is_alive"), [(KILLED, False), ("", False), (RESET, True)])
def test_a_process_that_ended_by_itself_or_lives_is_no_broken_line(head, detail, is_alive):
    head.rows = [head.worker(b"another", RESET), head.worker(b"its worker", detail, is_alive)]
    assert broken_connection_of(b"task".hex()) is None


def test_of_a_process_that_nobody_has_noted_nothing_is_said(head):
    assert broken_connection_of(b"task".hex()) is None
