"""Ways are named by reference: neither an address nor anybody else's program stands in a word."""

import pytest

from cluster.errors import UserError
from cluster.redaction.redactor import redacted
from orchestrator.notices.chosen_ways import read_way, read_ways
from orchestrator.notices.way import WAYS

SECRET = "https://hooks.example.org/services/T1/B1/abcdefghijkl"


@pytest.mark.parametrize(
    "word",
    [
        "",
        "pigeon",
        "webhook",
        "webhook:",
        f"webhook:{SECRET}",
        "webhook:SLACK",
        "webhook:env:",
        "webhook:env:A B",
        "command",
        "command:tell",
        "command:./tell",
        "command:sh -c x",
        "wandb:me",
    ],
)
def test_a_wrong_word_is_refused_and_no_secret_is_repeated(word):
    with pytest.raises(UserError) as fault:
        read_way(word)
    assert "abcdefghijkl" not in redacted(str(fault.value))


def test_words_add_up_once_each_and_none_wins():
    words = ["webhook:env:A", "wandb", "webhook:env:A", "command:~/bin/tell"]
    assert [str(way) for way in read_ways(words)] == [words[0], words[1], words[3]]
    assert read_ways([*words, "none"]) == ()


def test_every_way_says_what_it_does_in_the_users_name():
    for name in WAYS.names():
        assert WAYS.find(name).uses("/x/reference")


def test_an_address_is_read_from_a_private_file_alone(tmp_path):
    file = tmp_path / "slack"
    file.write_text(f"{SECRET}\n")
    way = read_way(f"webhook:{file}")
    file.chmod(0o644)
    with pytest.raises(UserError, match="closed to all others"):
        way.require()
    file.chmod(0o600)
    way.require()
    assert SECRET not in redacted(f"posted to {SECRET}")
    file.write_text(f"{SECRET} and more")
    with pytest.raises(UserError, match="nothing else"):
        way.require()
    file.unlink()
    file.mkdir(mode=0o700)
    with pytest.raises(UserError):
        way.require()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "hooks.example.org/x",
        "http://hooks.example.org/x",
        "ftp://127.0.0.1/x",
        "https://",
        "http://127.0.0.1:notaport/x",
        "https://[::1/x",
    ],
)
def test_an_address_that_would_show_itself_or_leads_nowhere_is_refused(address, monkeypatch):
    monkeypatch.setenv("LAB_HOOK", address)
    with pytest.raises(UserError) as fault:
        read_way("webhook:env:LAB_HOOK").require()
    assert len(address) < 10 or address not in str(fault.value)


@pytest.mark.parametrize("mode", [0o722, 0o777, 0o600])
def test_a_program_that_others_may_write_or_nobody_runs_is_refused(tmp_path, mode):
    program = tmp_path / "tell"
    program.write_text("#!/bin/sh\n")
    program.chmod(mode)
    with pytest.raises(UserError):
        read_way(f"command:{program}").require()
