"""Commands of SLURM that answer what was recorded: small programs on PATH, run as the real ones."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Answering = Callable[..., Path]


@pytest.fixture
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Return a function that has a command answer, and returns the file of what it was asked."""
    folder = tmp_path / "slurm-commands"
    folder.mkdir()
    basics = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    monkeypatch.setenv("PATH", f"{folder}:{basics}")

    def answer(name: str, output: str = "", errors: str = "", code: int = 0) -> Path:
        asked = tmp_path / f"{name}.asked"
        program = folder / name
        program.write_text(
            "#!/bin/sh\n"
            f'printf "%s\\n" "$*" >> {asked}\nenv > {asked}.environment\n'
            f"printf %s {shlex.quote(output)}\nprintf %s {shlex.quote(errors)} >&2\nexit {code}\n"
        )
        program.chmod(0o755)
        return asked

    for name in ("sbatch", "squeue", "sacct", "sacctmgr", "sinfo", "scancel", "scontrol"):
        answer(name, errors=f"{name}: error: nothing was recorded", code=1)
    return answer
