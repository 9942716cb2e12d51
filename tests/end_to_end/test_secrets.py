"""Secrets are planted everywhere, and jobs that tell them in every way end well, badly and at once;
afterwards no file, message, command line or process of the cluster holds any of them.
"""

import base64
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest

from tests.serving import LocalServer

STUDY = """
study: leaks
axes: {way: [0, 1, 2]}
stages:
  leaky: {kind: probe, over: [way], params: {index: "${way}", seconds: 1}}
"""

LEAKING = '''
import importlib.util, sys

class Finder:
    """Makes `probe` tell every secret it can find, in every way."""

    def find_spec(self, name, path=None, target=None):
        if name != "jobs.kinds.probe":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module
        def exec_module(module):
            execute(module)
            module.Probe.run = leaking(module.Probe.run)
        spec.loader.exec_module = exec_module
        return spec

def leaking(run):
    def leak(self, work):
        import base64, json, logging, os, pathlib, subprocess, time
        from urllib.parse import quote
        home = pathlib.Path(os.environ["HOME"])
        known = [value for name, value in os.environ.items() if name in %(names)r]
        files = [(home / file).read_text().split()[-1] for file in %(files)r]
        print("knows", len(known), "of the environment and", len(files), "of files")
        work.tracker.log({"loss": 1.0}, axis="train/step", step=1)
        for secret in known + files:
            print("plain", secret, end="\\r")
            print("Authorization: Bearer " + secret, json.dumps({"password": secret}))
            print(base64.b64encode(b"me:" + secret.encode()).decode(), quote(secret, safe=""))
            logging.getLogger("library").warning("sent %%s", secret)
            os.write(2, b"native " + secret.encode() + b"\\n")
            subprocess.run(["sh", "-c", "cat; echo; cat >&2"], input=secret.encode())
            work.progress(None, "sending " + secret)
        time.sleep(%(seconds)d)
        (home / f"at-work-{work.params.index}").touch()
        while not (home / "go-on").exists():
            time.sleep(0.05)
        if work.params.index == 1:
            raise RuntimeError("refused: " + " ".join(known + files))
        if work.params.index == 2 and %(crashes)r:
            import faulthandler
            os.write(1, b"the last words: " + files[0].encode())
            faulthandler._sigsegv()
        return run(self, work)
    return leak

sys.meta_path.insert(0, Finder())
'''


class Planted:
    """A home, an environment and a program with secrets in them."""

    def __init__(self, folder: Path, *, crashes: bool) -> None:
        self.home = folder / "home"
        self.temporary = Path(tempfile.mkdtemp(prefix="s", dir="/tmp"))
        letters = base64.b32encode(os.urandom(60)).decode().lower()
        self.environment = {
            "HF_TOKEN": "hf" + "_" + letters[:34],
            "WANDB_API_KEY": os.urandom(20).hex(),
            "AWS_SECRET_ACCESS_KEY": f"{letters[34:50]}/+{letters[50:70]}",
            "HTTPS_PROXY": f"http://me:{letters[70:84]}@127.0.0.1:9",
            "KAGGLE_KEY": letters[84:96] + '"7\\',
        }
        files = {
            ".netrc": f"machine hub.example login me password {os.urandom(12).hex()}",
            ".cache/huggingface/stored_tokens": f"[mine]\nhf_token = {os.urandom(12).hex()}",
        }
        for name, text in files.items():
            path = self.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o600)
        values = dict(self.environment, HTTPS_PROXY=letters[70:84])
        self.secrets = [*values.values(), *(text.split()[-1] for text in files.values())]
        self.own_files = {self.home / name for name in files}
        program = folder / "program"
        program.mkdir()
        (program / "sitecustomize.py").write_text(
            LEAKING
            % {
                "names": list(self.environment),
                "files": list(files),
                "crashes": crashes,
                "seconds": 0,
            }
        )
        (folder / "leaks.yaml").write_text(STUDY)
        self.root = folder / "root"
        code = str(Path(__file__).parents[2])
        self.variables = {
            **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            **self.environment,
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": os.pathsep.join([str(program), code]),
            "WANDB_MODE": "offline",
        }
        self.study = str(folder / "leaks.yaml")

    def command(self, *words: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator.cli", *words, "--root", str(self.root)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.variables,
        )

    def assert_absent(self, data: bytes, where: object) -> None:
        for secret in self.secrets:
            raw = secret.encode()
            inner = base64.b64encode(b"me:" + raw)[4:-4]
            for form in (raw, quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode()):
                assert form not in data, f"a secret stands in {where}"
            assert inner not in data and raw.hex().encode() not in data, f"encoded in {where}"

    def assert_no_file_holds_any(self) -> int:
        number = 0
        for top in (self.root, self.home, self.temporary):
            for path in top.rglob("*"):
                if path.is_file() and path not in self.own_files:
                    number += 1
                    self.assert_absent(path.read_bytes(), path)
        return number

    def assert_no_process_shows_any(self, launch: int) -> set[str]:
        """Look at command lines and environments of all that the launch started; return names."""
        names = set()
        for process in psutil.process_iter():
            try:
                words = " ".join(process.cmdline())
                variables = process.environ()
            except psutil.Error:
                continue
            self.assert_absent(words.encode(), "a command line")
            is_mirror = "wandb-core" in words  # started by a job, which may hold them
            if process.pid != launch and not is_mirror and str(self.temporary) in str(variables):
                names.add(words)
                self.assert_absent(json.dumps(variables).encode(), f"the environment of {words}")
        return names


@pytest.fixture
def planted(tmp_path: Path, request: Any) -> Iterator[Planted]:
    made = Planted(tmp_path, crashes=request.param)
    yield made
    shutil.rmtree(made.temporary, ignore_errors=True)


def wait_for(path: Path, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 240
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, f"no {path.name}"
        time.sleep(0.1)


def assert_told_but_taken_out(planted: Planted, num_known: int, *, owns_descriptors: bool) -> None:
    """The jobs did tell secrets, and their logs say which ones were taken out."""
    logs = list(planted.root.glob("artifacts/probe/*/attempts/*/log.txt"))
    assert len(logs) >= 3
    for log in logs:
        text = log.read_text()
        assert f"knows {num_known} of the environment and 2 of files" in text
        assert text.count("<HF_TOKEN>") >= 6 and text.count("<netrc>") >= 6
        assert ("native <HF_TOKEN>" in text) == owns_descriptors


ASKING = """
study: asking
stages:
  texts: {kind: prompts, params: {format: nursery, options: {num_prompts: 4}}}
  model:
    kind: ask
    inputs: {prompts: texts}
    params: {base_url: ADDRESS, model: tiny, api_key_variable: LLM, toxic_words: prompts}
"""


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the key that it was sent."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        header = self.headers["Authorization"]
        self.server.seen.append(header)  # type: ignore[attr-defined]
        message = {"choices": [{"message": {"content": "well"}}], "model": f"tiny of {header}"}
        data = json.dumps(message).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("planted", [False], indirect=True)
@pytest.mark.parametrize("executor", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_key_goes_where_it_is_allowed_to_go_and_nowhere_else(
    planted: Planted, executor: str
) -> None:
    server = LocalServer(Echo)
    server.seen = []
    del planted.variables["HTTPS_PROXY"]
    key = planted.variables["LLM"] = "correct" + "-horse-" + os.urandom(4).hex()
    planted.secrets.append(key)
    Path(planted.study).write_text(ASKING.replace("ADDRESS", server.address))
    words = ("launch", planted.study, "--executor", executor)
    out, err = planted.command(*words).communicate(timeout=240)
    assert b"has not been allowed" in err and not server.seen
    assert not planted.root.exists()
    configuration = planted.home / ".config/deltascale/config.yaml"
    configuration.parent.mkdir(parents=True)
    configuration.write_bytes(err.partition(b"config.yaml:\n")[2])
    process = planted.command(*words)
    out, err = process.communicate(timeout=240)
    server.close()
    assert process.returncode == 0, err
    assert set(server.seen) == {f"Bearer {key}"}
    planted.assert_absent(out + err, "the terminal")
    assert planted.assert_no_file_holds_any() > 5
    (record,) = planted.root.glob("artifacts/ask/*/record.json")
    assert json.loads(record.read_text())["facts"]["served"] == ["tiny of Bearer <LLM>"]


@pytest.mark.parametrize("planted", [False], indirect=True)
def test_no_secret_is_left_by_jobs_in_this_process(planted: Planted) -> None:
    (planted.home / "go-on").touch()
    process = planted.command("launch", planted.study, "--executor", "local")
    out, err = process.communicate(timeout=240)
    assert process.returncode == 1, err
    # What programs write to descriptors goes to the terminal, which is the user's own.
    messages = [line for line in (out + err).split(b"\n") if b"refused: " in line]
    assert messages and b"knows" not in out
    planted.assert_absent(b"\n".join(messages), "a message")
    assert_told_but_taken_out(planted, num_known=5, owns_descriptors=False)
    for words in (("status", "leaks", "--json"), ("logs", "leaks", "leaky:way=1")):
        out, err = planted.command(*words).communicate(timeout=60)
        planted.assert_absent(out + err, words)
    assert planted.assert_no_file_holds_any() > 15
    logs = planted.root.glob("artifacts/probe/*/attempts/*/log.txt")
    # On a machine with much else to do the mirror may be given up; the log says so.
    is_slow = any("W&B" in log.read_text() for log in logs)
    assert is_slow or list(planted.root.rglob("*.wandb"))


@pytest.mark.slow
@pytest.mark.parametrize("planted", [True], indirect=True)
def test_no_secret_is_left_on_a_cluster_by_jobs_that_end_well_badly_and_at_once(
    planted: Planted,
) -> None:
    process = planted.command("launch", planted.study, "--cpus", "3")
    for way in range(3):
        wait_for(planted.home / f"at-work-{way}", process)
    names = planted.assert_no_process_shows_any(process.pid)
    assert any("raylet" in name for name in names) and any("gcs" in name for name in names)
    assert planted.assert_no_file_holds_any() > 15
    (planted.home / "go-on").touch()
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    planted.assert_absent(out + err, "the terminal")
    assert_told_but_taken_out(
        planted, num_known=4, owns_descriptors=True
    )  # KAGGLE_KEY is not for workers
    crashed = list(planted.root.glob("artifacts/probe/*/attempts/*/log.txt"))
    assert any("the last words: <netrc>" in log.read_text() for log in crashed)
    assert any("Segmentation fault" in log.read_text() for log in crashed)
    for words in (("status", "leaks", "--json"), ("logs", "leaks", "leaky:way=2")):
        out, err = planted.command(*words).communicate(timeout=60)
        planted.assert_absent(out + err, words)
    assert planted.assert_no_file_holds_any() > 15
