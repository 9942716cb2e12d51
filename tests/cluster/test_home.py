"""A user without a home, whom no list of users names: as containers are started by number."""

import os
import pwd

import pytest

from cluster.executor import Surroundings, call_entry
from cluster.home import home_folder
from cluster.redaction import credential_files
from orchestrator.cli import main
from orchestrator.permission.own_files import configuration_path


def its_home(payload, surroundings):
    """The entry point of a worker: which home do libraries find?"""
    return os.path.expanduser("~/.cache")


@pytest.fixture
def nobody(monkeypatch):
    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in ("HOME", "DELTASCALE_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    credential_files._files_named_by.cache_clear()
    yield
    credential_files._files_named_by.cache_clear()


def test_its_home_is_the_top_as_in_containers(nobody):
    assert str(home_folder()) == "/"
    assert str(configuration_path()) == "/.config/deltascale/config.yaml"
    assert str(credential_files.credential_files({})["netrc"]) == "/.netrc"


def test_a_command_of_nobody_is_answered_and_leaves_the_variables(nobody, tmp_path, capsys):
    assert main(["status", "no-such-study", "--root", str(tmp_path)]) == 2
    assert "no-such-study" in capsys.readouterr().err
    assert "HOME" not in os.environ


def test_libraries_of_a_job_make_no_folder_of_that_name_where_they_stand(nobody):
    outcome = call_entry("t", f"{__name__}:its_home", "{}", Surroundings())
    assert outcome.answer == "/.cache"
    del os.environ["HOME"]
