"""Launches as a user types them: a command, a root, an exit code."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.forked import ForkedCommand

MINIATURE = Path(__file__).parent / "miniature.yaml"
SECRETS = {"HF_TOKEN": "hf_notToBeWritten1234567", "AWS_SECRET_ACCESS_KEY": "alsoNotToBeWritten"}
_LONGEST_S = 400


@dataclass(frozen=True, kw_only=True)
class Command:
    """`deltascale` against one root."""

    root: Path
    wandb_mode: str = "offline"

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Begin as a shell would; the caller waits or kills."""
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator.cli", *self._with_root(words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment(),
        )

    def fork(self, *words: str) -> ForkedCommand:
        """Begin in a process that has imported already what a launch does; see `forked`."""
        return ForkedCommand(self._with_root(words), self._environment())

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run to its end, forked."""
        return self._ended(words, self.fork(*words))

    def run_cold(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run to its end as a shell would."""
        return self._ended(words, self.start(*words))

    def _with_root(self, words: tuple[str, ...]) -> list[str]:
        return [*words, "--root", str(self.root)]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **SECRETS, "WANDB_MODE": self.wandb_mode, "COLUMNS": "200"}

    def _ended(self, words: tuple[str, ...], process: Any) -> "subprocess.CompletedProcess[str]":
        out, err = process.communicate(timeout=_LONGEST_S)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def records(self) -> list[Path]:
        """Records published so far."""
        return sorted(self.root.glob("artifacts/*/*/record.json"))

    def measurements(self, study: str = "miniature") -> bytes:
        """The long table of a study."""
        return (self.root / f"studies/{study}/tables/table/measurements.csv").read_bytes()


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Without W&B, which takes a third of a tiny launch's time."""
    return Command(root=tmp_path / "results", wandb_mode="disabled")


@pytest.fixture(scope="session")
def command_at() -> type[Command]:
    """`deltascale` against a root of one's own: for fixtures that outlive a test."""
    return Command


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The miniature, run once without Ray and without disturbance, for all processes of pytest."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    command = Command(root=folder / "undisturbed")
    with (folder / "undisturbed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = command.run_cold("launch", str(MINIATURE), "--executor", "local")
    assert done.returncode == 0, done.stderr
    return command


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., str]:
    """The miniature with some text replaced, as a file."""

    def write(*replacements: tuple[str, str]) -> str:
        text = MINIATURE.read_text()
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "edited.yaml"
        path.write_text(text)
        return str(path)

    return write
