"""A launch that is killed in the middle of a line of its ledger leaves the lines before it."""

import os
import signal
import subprocess
import sys

from cluster.chaos.drawing import read_plan
from cluster.chaos.injector import ChaosFolder
from cluster.storage import Storage
from orchestrator.records.events import Holding
from orchestrator.records.ledger import read_events
from orchestrator.records.ledger_lines import damaged_lines

CHILD = """
import sys
from cluster.chaos.injector import ChaosFolder, Injector
from cluster.storage import Storage
from orchestrator.records.events import Holding
from orchestrator.records.ledger import Ledger
root = Storage(sys.argv[1])
with Injector(folder=ChaosFolder(root, "studies/s/chaos/x"), who="launch").armed():
    ledger = Ledger(root, "s", "launch")
    for number in range(1, 9):
        ledger.append(Holding(at=number, seconds=1))
        ledger.flush()
"""


def test_the_line_at_which_it_died_is_passed_over(tmp_path) -> None:
    root = Storage(tmp_path / "root")
    ChaosFolder(root, "studies/s/chaos/x").keep(read_plan("torn@ledger:4", 0, [], []))
    child = subprocess.run(
        [sys.executable, "-c", CHILD, root.url],
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
        stderr=subprocess.DEVNULL,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    assert list(read_events(root, "s")) == [Holding(at=number, seconds=1) for number in (1, 2, 3)]
    assert not list(damaged_lines(root, "s")), "a line that was cut off is no damage"
    (file,) = (tmp_path / "root/studies/s/ledger").iterdir()
    assert not file.read_bytes().endswith(b"\n")
