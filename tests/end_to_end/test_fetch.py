"""A node with internet fetches; nodes without run the study from the root alone, to its table."""

import json
import random
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.storage import Storage
from jobs.hub.client import cached
from jobs.models.checkpoint_files import DESCRIPTIONS
from orchestrator.cli import main
from tests.hub_server.server import TOKEN, HostedRepository, HubServer, ask_here

MODELS = [{"name": "one", "source": "hf://org/tiny"}]
OTHER = {"name": "two", "source": "hf://org/other"}
STUDY: dict[str, Any] = {
    "study": "offline",
    "axes": {
        "model": MODELS,
        "condition": ["plain", "rot13"],
    },
    "stages": {
        "base": {"kind": "pretrained", "over": ["model"], "params": {"source": "${model.source}"}},
        "prompts": {
            "kind": "prompts",
            "over": ["condition"],
            "params": {
                "format": "text",
                "source": "hf://datasets/org/lines/data",
                "options": {"held_out": 0},
                "positions": ["last"],
                "transform": "${condition}",
            },
        },
        "rates": {
            "kind": "behave",
            "inputs": {"model": "base", "prompts": "prompts"},
            "params": {"metrics": ["perplexity"], "new_tokens": 2},
        },
        "table": {"kind": "compare", "gather": ["rates"], "params": {"figures": False}},
    },
}


@pytest.fixture
def hub(saved_models: Path, monkeypatch: Any, tmp_path: Path) -> Any:
    """A hub with a model and a data set of lines; what this machine starts asks it."""
    folder = saved_models / "llama-sharded"
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    files |= {"pytorch_model.bin": b"never", "modeling_evil.py": b"never", "README.md": b"a model"}
    draw = random.Random(3)
    words = ["the", "cat", "dog", "sat", "ran", "on", "a", "mat", "red", "big"]
    lines = "\n".join(" ".join(draw.choices(words, k=45)) for _ in range(12)) + "\n"
    data = {"README.md": b"some lines", "data/test.txt": lines.encode(), "load.py": b"never"}
    server = HubServer(
        {
            ("model", "org/tiny"): HostedRepository(files),
            ("dataset", "org/lines"): HostedRepository(data, type="dataset"),
        }
    )
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home-of-nobody"))
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield server
    server.close()


def _written(folder: Path, study: dict[str, Any] = STUDY) -> str:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    return str(path)


def _run(command: Any, *words: str) -> Any:
    done = command.run_cold(*words)
    assert done.returncode == 0, done.stderr + done.stdout
    return done


def test_a_study_is_fetched_once_and_runs_without_the_hub(
    hub: Any, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    ask_here(monkeypatch, hub, tmp_path / "cache")
    monkeypatch.setenv("WANDB_MODE", "offline")
    study = _written(tmp_path)
    root = Storage(tmp_path / "root")

    def run(*words: str, code: int = 0) -> Any:
        ended = main([*words, "--root", root.url])
        out, err = capsys.readouterr()
        assert ended == code, err + out
        return out, err

    asked = run("fetch", study, "--dry-run")[1]
    assert "hf://org/tiny at main (0123456789ab)" in asked and not root.exists("hub")
    plan = json.loads(run("plan", study, "--json")[0])
    assert plan["totals"]["open"] == 5 and plan["absent"] == ["hf://datasets/org/lines/data"]
    said = run("launch", study, "--executor", "local", code=2)[1]
    assert f"`deltascale fetch {study} --root {root.url}` takes it there" in said
    run("fetch", study)
    fetched = hub.counts()
    assert set(fetched.values()) == {1}
    assert not {"pytorch_model.bin", "modeling_evil.py", "README.md", "load.py"} & set(fetched)
    hub.close()
    assert "here already" in run("fetch", study)[1]  # nobody is asked
    plan = json.loads(run("plan", study, "--json")[0])
    assert plan["totals"]["open"] == 0 and plan["absent"] == []
    keys = {job["key"] for job in plan["jobs"]}
    assert None not in keys
    assert (
        cached("hf://org/tiny", None, DESCRIPTIONS).name == "files"
    )  # tokenizers are read while planning
    run("launch", study, "--executor", "local")
    table = run("compare", "offline", "--format", "csv")[0]
    assert "rot13" in table and "perplexity" in table
    index = json.loads(root.read("studies/offline/index.json"))
    assert {job["key"] for jobs in index["stages"].values() for job in jobs} == keys
    requests = [root.read(name) for name in root.walk("artifacts") if name.endswith("job.json")]
    assert sum(b"hf://datasets/org/lines@0123456789abcdef" in text for text in requests) == 2
    before = list(root.walk("hub"))
    run("gc", "--apply")
    assert list(root.walk("hub")) == before
    damaged = next(name for name in before if name.endswith("/test.txt"))
    root.write(damaged, root.read(damaged)[::-1])
    out, err = run("verify", "offline", "--repair", code=1)
    assert f"{damaged}: its SHA-256 is not the hub's" in out
    assert "deltascale fetch offline" in err and not root.exists(damaged)


@pytest.mark.slow
def test_workers_of_ray_find_in_the_root_what_was_fetched(
    command: Any, hub: Any, tmp_path: Path
) -> None:
    study = _written(tmp_path)
    _run(command, "fetch", study)
    hub.close()
    _run(command, "launch", study)
    assert "rot13" in _run(command, "compare", "offline", "--format", "csv").stdout
    refused = _written(tmp_path, {**STUDY, "axes": {**STUDY["axes"], "model": [*MODELS, OTHER]}})
    done = command.run_cold("launch", refused)
    assert done.returncode == 2 and "not in the root: hf://org/other at main" in done.stderr


@pytest.mark.slow
def test_gated_and_missing_repositories_are_told_at_once_and_nothing_comes(
    command: Any, hub: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    for name in ("org/gated", "org/other"):
        gated = HostedRepository({"config.json": b"{}", "model.safetensors": b"x" * 9}, gated=True)
        hub.repositories["model", name] = gated
    sources = ["hf://org/tiny", "hf://org/gated", "hf://org/none", "hf://org/other"]
    models = [{"name": f"m{n}", "source": source} for n, source in enumerate(sources)]
    study = _written(tmp_path, STUDY | {"axes": {**STUDY["axes"], "model": models}})
    refused = command.run_cold("fetch", study)
    assert refused.returncode == 2
    for source in sources[1:]:
        assert source in refused.stderr
    assert refused.stderr.count("accept its terms") == 1 and not hub.counts()
    hub.repositories["model", "org/none"] = hub.repositories["model", "org/gated"]
    monkeypatch.setattr("tests.end_to_end.conftest.SECRETS", {"HF_TOKEN": TOKEN})
    _run(command, "fetch", study)
    root = Storage(command.root)
    assert not [name for name in root.walk("hub") if TOKEN.encode() in root.read(name)]


@pytest.mark.slow
def test_a_killed_fetch_is_gone_on_with(command: Any, hub: Any, tmp_path: Path) -> None:
    weights = random.Random(1).randbytes(45_000_000)
    hub.repositories["model", "org/tiny"].files["model.safetensors"] = weights
    study = _written(tmp_path)
    reached, go = threading.Event(), threading.Event()
    hub.fail("/content/model/org/tiny/model.safetensors", at=30 << 20, reached=reached, go=go)
    process = command.start("fetch", study)
    assert reached.wait(120), process.communicate()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    go.set()
    assert not list(Path(command.root).glob("hub/models/*/*/*.json"))
    _run(command, "fetch", study)
    first, second = hub.asks("/content/model/org/tiny/model.safetensors")
    assert (first.start, second.start >= 20_000_000) == (0, True)
    assert sum(second.sent) == len(weights) - second.start
