"""A SIGKILL while the thread beside training writes a snapshot: the next attempt has its bytes."""

import signal

import pytest

pytestmark = pytest.mark.slow

KILLED_AT_A_FILE = """
import os, signal, sys
from cluster.executor import Surroundings
from cluster.fault_points import striking
from jobs.run import run
payload, moment, file = sys.argv[1:]
def strike(name, where):
    if name == moment and str(where.get("file", "")).endswith(file):
        os.kill(os.getpid(), signal.SIGKILL)
with striking(strike):
    run(payload, Surroundings())
"""
INPUTS = {"model": "model", "pairs": "pairs", "reference": "reference"}
PARAMS = {
    "max_length": 32,
    "steps": 9,
    "learning_rate": 1e-2,
    "checkpoint_every": 3,
    "keep_checkpoints": 4,
    "snapshots": {"steps": [2, 4], "kl": [9.0]},
}
LORA = {"rank": 2, "alpha": 4.0}
WEIGHTS = "snapshots/4/difference.safetensors"
ADAPTER = "snapshots/4/adapter/adapter_model.safetensors"
MARKER = "snapshots/4/SNAPSHOT.json"


@pytest.mark.parametrize(
    ("lora", "moment", "file"),
    [
        (None, "write", WEIGHTS),
        (None, "written", WEIGHTS),
        (LORA, "write", ADAPTER),
        (LORA, "write", MARKER),
        (None, "written", MARKER),
    ],
)
def test_what_it_was_at_is_taken_again_with_the_same_bytes(scored, lora, moment, file):
    root, params = scored, {**PARAMS, "lora": lora}
    whole = root.done("align", params, name="whole", **INPUTS)
    payload, _ = root.payload("align", params, "1", INPUTS, name="killed")
    root.run_code(KILLED_AT_A_FILE, payload, moment, file, ends=-signal.SIGKILL)
    assert root.artifact("killed").find_record() is None
    killed = root.done("align", params, name="killed", attempt="2", **INPUTS)
    assert killed.facts["training"]["resume"]["resumed_from"] == 3
    names = [name for name in whole.names() if "README" not in name]
    assert names == [name for name in killed.names() if "README" not in name]
    assert any(name == file for name in names)
    assert {n: whole.read(n) for n in names} == {n: killed.read(n) for n in names}
    # The one before the checkpoint was taken over, the one that was written is of this attempt.
    folder = root.storage.path(killed.attempt_folder("1"))
    assert (folder / "snapshots/2/SNAPSHOT.json").exists()
    assert not (folder / file).exists() or not (folder / file).samefile(killed.path(file))
