"""Processes of tests that are forked with torch and TRL imported, which takes others 10 s.

They are killed, stopped and waited for as any other; they wait for no disk, as these tests do. What
libraries read of the environment while they were imported is what the first test that forked one
had, but for the settings of the hub.
"""

import multiprocessing
import os
import subprocess
import tempfile
from pathlib import Path

IMPORTED = (
    "deepspeed",
    "jobs.run",
    "jobs.training.alignment",
    "jobs.training.pretraining",
    "orchestrator.launch",
    "trl.trainer.dpo_trainer",
    "trl.trainer.sft_trainer",
)
"""What the server that forks has imported; none of it starts a thread."""

BEGIN = """
import atexit, importlib, os, sys
from huggingface_hub import constants
os.environ.clear()
os.environ.update(ENVIRONMENT)
importlib.reload(constants)
os.fsync = os.fstat
os.chdir(FOLDER)
sys.argv = ["-c", *WORDS]
for file, descriptor in ((SAID, 1), (ERRORS or SAID, 2)):
    heard = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(heard, descriptor)
    os.close(heard)
try:
    exec(CODE)
finally:
    atexit._run_exitfuncs()
"""

COMMAND = """
import sys
from orchestrator.cli import main
sys.exit(main())
"""


def forked(code, words, said, environment=None, errors=None, folder=None):
    """A process that runs a program; what it says goes to a file, its errors to another if named.

    It has the environment and the folder of this process unless others are given.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    given = {
        "CODE": code,
        "WORDS": list(words),
        "SAID": str(said),
        "ERRORS": errors and str(errors),
        "ENVIRONMENT": dict(os.environ if environment is None else environment),
        "FOLDER": str(folder or os.getcwd()),
    }
    process = context.Process(target=exec, args=(BEGIN, given))
    process.start()
    return process


class ForkedCommand:
    """`deltascale` with these words, as `subprocess.Popen` shows a process."""

    def __init__(self, words, environment, folder=None):
        self._folder = tempfile.TemporaryDirectory()
        self._said = [Path(self._folder.name) / stream for stream in ("out", "errors")]
        for file in self._said:
            file.touch()
        self._process = forked(COMMAND, words, self._said[0], environment, self._said[1], folder)
        self.pid = self._process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self._process.exitcode

    def kill(self):
        self._process.kill()

    def communicate(self, timeout):
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("deltascale", timeout)
        return tuple(file.read_text() for file in self._said)
