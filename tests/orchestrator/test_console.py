"""Standard output holds answers, and nothing that libraries print while a verb runs."""

import json
import os
import pty
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from orchestrator.console import _Output

TOP = Path(__file__).parents[2]

LOUD = """
import logging, sys
from orchestrator.console import say_json, taken_for_answers
with taken_for_answers():
    print("a library prints")
    logging.getLogger("loud").addHandler(logging.StreamHandler(sys.stdout))
    logging.getLogger("loud").warning("a library logs")
    say_json({"held": True})
print("afterwards")
"""


def run(*words, **more):
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=TOP, timeout=120, **more
    )


def test_what_libraries_print_is_no_part_of_an_answer():
    done = run("-c", LOUD)
    answer, afterwards = done.stdout.rsplit("}", 1)
    assert json.loads(answer + "}") == {"held": True}
    assert afterwards == "\nafterwards\n"
    assert done.stderr.splitlines() == ["a library prints", "a library logs"]


def test_help_is_an_answer():
    done = run("-m", "orchestrator.cli", "plan", "--help")
    assert done.stdout.startswith("usage: deltascale plan") and done.stderr == ""


@pytest.mark.parametrize(
    ("closed", "out", "err"),
    [
        (">&-", False, True),
        ("2>&-", True, False),
        ("<&-", True, True),
        ("<&- >&- 2>&-", False, False),
    ],
)
def test_a_launch_whose_streams_are_closed_runs_to_its_end(tmp_path, closed, out, err):
    study = tmp_path / "own.yaml"
    study.write_text("study: own\nstages:\n  pairs: {kind: pairs, params: {format: nursery}}\n")
    words = [sys.executable, "-m", "orchestrator.cli", "launch", study, "--executor", "local"]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *words, "--root", tmp_path / "root"],
        capture_output=True,
        text=True,
        cwd=TOP,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert bool(done.stdout) == out and "Traceback" not in done.stderr
    assert list((tmp_path / "root").rglob("record.json"))
    assert err or not done.stderr


def test_a_launch_whose_terminal_is_closed_keeps_its_exit_code(tmp_path):
    study = tmp_path / "own.yaml"
    study.write_text(
        "study: own\nstages:\n  stays: {kind: probe, params: {index: 1, seconds: 3}}\n"
    )
    words = [sys.executable, "-m", "orchestrator.cli", "launch", study, "--executor", "local"]
    tells = tmp_path / "tells"
    tells.write_text(f"#!/bin/sh\ncat >> '{tmp_path}/told'\n")
    tells.chmod(0o700)
    words += ["--notify", f"command:{tells}", "--root", tmp_path / "root"]
    terminal, stream = pty.openpty()
    launch = subprocess.Popen(words, stdout=stream, stderr=stream, cwd=TOP)
    os.close(stream)
    os.close(terminal)  # it is in another session, so no SIGHUP reaches it, as with `nohup`
    assert launch.wait(120) == 0
    told = (tmp_path / "told").read_text()
    assert "complete" in told and "fault" not in told
    assert "complete" in run("-m", "orchestrator.cli", "status", "--root", tmp_path / "root").stdout


def test_a_disk_that_fails_is_told_and_is_no_terminal_that_was_closed(tmp_path):
    with pytest.raises(OSError, match="No space left"), open("/dev/full", "wb") as full:
        _Output(full.fileno()).write(b"an answer")


def test_a_file_never_has_the_number_of_a_stream_that_was_closed():
    program = """
import os, sys
from orchestrator.cli import main
from orchestrator.verb import VERBS
def run(options):
    with open(sys.argv[1], "w") as file:
        assert file.fileno() > 2
        os.write(1, b"a library writes")
    return 0
VERBS.find("gc").run = run
sys.exit(main(["gc"]))
"""
    with tempfile.NamedTemporaryFile() as file:
        words = ["sh", "-c", 'exec "$@" <&- >&-', "sh", sys.executable, "-c", program, file.name]
        done = subprocess.run(words, capture_output=True, text=True, cwd=TOP, timeout=120)
        assert (done.returncode, done.stderr) == (0, "") and file.read() == b""


IGNORES = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-m", "orchestrator.cli", *sys.argv[1:]])
"""


def test_a_program_that_fails_is_known_to_have_below_a_parent_that_ignores_its_children(tmp_path):
    """As some window managers do: then all that is started from their terminals ends well."""
    program = tmp_path / "tell"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o700)
    words = ["notify", "--notify", f"command:{program}"]
    done = subprocess.run(
        [sys.executable, "-c", IGNORES, *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 3
    assert "ended with code 3" in done.stdout + done.stderr
