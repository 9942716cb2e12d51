"""A home of its own, and a small study with a folder of profiles beside it."""

from pathlib import Path

import pytest

from tests.slurm_commands import answering

__all__ = ["answering"]

STUDY = """\
study: small
axes: {index: [1, 2]}
stages:
  probes: {kind: probe, over: index, params: {index: "${index}"}}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be somebody whose configuration and state are empty, in an empty folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("DELTASCALE_CONFIG", raising=False)
    monkeypatch.delenv("DELTASCALE_ROOT", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.fixture
def study(home: Path) -> Path:
    """Write the study, in a folder of its own."""
    path = home / "lab" / "small.yaml"
    (path.parent / "profiles").mkdir(parents=True)
    path.write_text(STUDY)
    return path


@pytest.fixture
def own(home: Path) -> Path:
    """Return the user's own folder of profiles."""
    folder = home / "config" / "deltascale" / "profiles"
    folder.mkdir(parents=True)
    return folder
