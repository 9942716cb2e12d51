"""Ranks of one machine that train a snapshot put it together once."""

import json
import socket

import pytest

from jobs.models.opened_model import OPENS, Opening, Source
from tests.forked import forked

pytestmark = pytest.mark.slow

ONE_RANK = """
import os, sys
from types import SimpleNamespace
import torch.distributed as dist
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.models.opened_model import model_folder
from jobs.training.folder_of_ranks import folder_of_ranks
root, kind, key, store = sys.argv[1:]
rank = int(os.environ["RANK"])
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
model = Artifact(Storage(root), kind, key)
folder = folder_of_ranks(SimpleNamespace(input={"model": model}.__getitem__))
assert folder == model_folder(model) and (folder / "model.safetensors").is_file()
print("folder", folder, flush=True)
dist.barrier()
dist.destroy_process_group()
"""


def test_the_first_one_does_it_for_all(root, tmp_path):
    pairs = {"model": "model", "pairs": "pairs"}
    params = {"objective": "sft", "max_length": 32, "steps": 2, "snapshots": {"steps": [1]}}
    root.done("align", params, name="kept", **pairs)
    snapshot = root.done("snapshot", {"snapshot": "step-1"}, aligned="kept")
    assert Opening.of(snapshot).model == Source.of(root.artifact("model"))
    assert snapshot.facts[OPENS]["form"] == "difference"
    words = [str(root.folder), "snapshot", snapshot.key, str(tmp_path / "store")]
    said = [tmp_path / f"said-{rank}" for rank in range(2)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(2):
        environment = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "GLOO_SOCKET_IFNAME": "lo",
        }
        processes.append(forked(ONE_RANK, words, said[rank], environment))
    for process in processes:
        process.join(120)
        process.kill()
    texts = [file.read_text() for file in said]
    assert [process.exitcode for process in processes] == [0, 0], json.dumps(texts)
    folders = {line for text in texts for line in text.splitlines() if line.startswith("folder ")}
    assert len(folders) == 1 and all("folder " in text for text in texts)
