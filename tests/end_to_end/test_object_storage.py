"""A study whose whole root lies on an object storage: killed, resumed, read back, damaged."""

import dataclasses
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

from cluster.storage import Storage
from orchestrator.cli import main

STUDY = str(Path(__file__).parent / "one_cell.yaml")
SECRETS = (b"alsoNotToBeWritten", b"secretNotToBeWritten", b"AKIANOTTOBEWRITTEN00")
TABLE = "studies/one-cell/tables/table/measurements.csv"
_LONGEST_S = 240


def _names(root: Storage, end: str) -> list[str]:
    return [name for name in root.sizes("artifacts") if name.endswith(end)]


def _kill_while_the_second_checkpoint_goes_up(command: Any, proxy: Any) -> None:
    reached, over = threading.Event(), threading.Event()

    def hold(request: Any) -> None:
        reached.set()
        over.wait(_LONGEST_S)
        request.hang_up()

    proxy.passing(lambda request: request.path.endswith("checkpoint-10/COMPLETE.json"), hold)
    process = command.fork("launch", STUDY, "--executor", "local")
    assert reached.wait(_LONGEST_S), process.communicate(timeout=1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=_LONGEST_S)
    over.set()


def _ask(root: Storage, *words: str) -> int:
    return main([*words, "--root", root.url])


def test_a_study_on_object_storage_gives_the_bytes_of_a_local_one(
    command: Any,
    bucket: str,
    proxy: Any,
    s3: Any,
    object_storage: str,
    capsys: Any,
    monkeypatch: Any,
) -> None:
    # In this process, which in a whole run of the tests has long loaded torch; only what is killed
    # is another.
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert main(["launch", STUDY, "--executor", "local", "--root", str(command.root)]) == 0
    _kill_while_the_second_checkpoint_goes_up(
        dataclasses.replace(command, root=f"{bucket}/folder/root"), proxy
    )
    s3(object_storage)
    root = Storage(f"{bucket}/folder/root")
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert _ask(root, "launch", STUDY, "--executor", "local") == 0

    assert root.read(TABLE) == (command.root / TABLE).read_bytes()
    _resumed_from_the_checkpoint(root)
    _no_secret_was_written(root, str(capsys.readouterr()))
    _every_verb_reads_the_root(root, capsys)


def _resumed_from_the_checkpoint(root: Storage) -> None:
    (name,) = [n for n in _names(root, "record.json") if n.startswith("pretrain/")]
    record = json.loads(root.read(f"artifacts/{name}"))
    assert record["facts"]["training"]["resume"]["resumed_from"] == 5


def _every_verb_reads_the_root(root: Storage, capsys: Any) -> None:
    assert _ask(root, "launch", STUDY) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert _ask(root, "status", "one-cell", "--json") == 0
    assert json.loads(capsys.readouterr().out)["jobs"]["done"] == 9
    assert _ask(root, "compare", "one-cell") == 0
    assert "relative_norm" in capsys.readouterr().out
    assert _ask(root, "logs", "one-cell", "aligned") == 0
    assert "done after" in capsys.readouterr().out
    assert _ask(root, "gc", "--apply") == 0
    assert "an attempt that did not win" in capsys.readouterr().out
    assert _ask(root, "verify", "one-cell") == 0
    (weights,) = [n for n in _names(root, ".safetensors") if n.startswith("align/")]
    root.write(f"artifacts/{weights}", root.read(f"artifacts/{weights}")[:-1] + b"?")
    assert _ask(root, "verify", "one-cell") == 1
    assert "aligned" in capsys.readouterr().out


def _no_secret_was_written(root: Storage, shown: str) -> None:
    written = [root.read(name) for folder in ("artifacts", "studies") for name in root.walk(folder)]
    assert len(written) > 50
    for secret in SECRETS:
        assert not any(secret in data for data in [shown.encode(), *written])
