"""A process whose working folder was removed computes on in another."""

import os
import subprocess
import sys
from pathlib import Path

from cluster.executor import Surroundings
from cluster.machine.working_folder import stand_in_a_folder

ROOT = Path(__file__).parents[3]
IN_A_FOLDER_THAT_GOES = """
import os, sys
sys.path.insert(0, sys.argv[1])
from cluster.executor import Surroundings, call_entry
os.rmdir(os.getcwd())
entry = "tests.cluster.machine.test_working_folder:a_product"
print(call_entry("t", entry, "", Surroundings()).answer)
"""


def a_product(payload: str, surroundings: Surroundings) -> str:
    """Return a sum that MKL makes."""
    import torch

    return str((torch.ones(128, 128) @ torch.ones(128, 128)).sum().item())


def test_a_call_computes_though_its_working_folder_was_removed(tmp_path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    words = [sys.executable, "-c", IN_A_FOLDER_THAT_GOES, str(ROOT)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=gone, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, [str(128.0**3)]), done.stderr


def test_a_working_folder_that_is_there_is_kept(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    stand_in_a_folder()
    assert Path.cwd() == tmp_path
