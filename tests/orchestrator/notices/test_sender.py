"""Ways that hang, answer nonsense or are away cost the launch nothing, and are told of once."""

import socket

import pytest

from orchestrator.notices.chosen_ways import read_way
from orchestrator.notices.sender import Pace, Sender
from orchestrator.notices.way import Notice, NotSent, Occasion

CALM = Pace(first_pause_s=0.01, ends_within_s=60.0)
HASTY = Pace(try_within_s=0.3, first_pause_s=0.01, ends_within_s=60.0)
"""For ways that never return."""


def notice(title="the end"):
    return Notice(occasion=Occasion.END, study="two", title=title, text="4 ran")


SENDERS = []


class Gone:
    """A way that takes nothing any more."""

    def send(self, notice):
        raise NotSent("the test is over", is_final=True)


@pytest.fixture(autouse=True)
def nothing_is_sent_to_the_next_test():
    yield
    while SENDERS:
        for line in SENDERS.pop()._lines:  # its thread may go on
            line._way = Gone()


@pytest.fixture
def told():
    return []


def sender_by(words, told, pace=CALM):
    SENDERS.append(Sender([read_way(word) for word in words], told.append, pace))
    return SENDERS[-1]


def test_a_message_is_posted_in_slacks_form_and_letters(hook, told):
    sender = sender_by(["webhook:env:LAB_HOOK"], told)
    sender.send(notice("<!channel> a & b"))
    assert sender.close()
    assert hook.texts == ["&lt;!channel&gt; a &amp; b\n4 ran"]
    assert told == []


@pytest.mark.parametrize("first", ["500", "503", "429", "408", "garbage"])
def test_what_may_pass_is_tried_again(hook, told, first):
    hook.answers = [first, "ok"]
    sender = sender_by(["webhook:env:LAB_HOOK"], told)
    sender.send(notice())
    assert sender.close()
    assert len(hook.texts) == 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [("redirect", "redirects"), ("404", "404"), ("401", "401"), ("400", "400")],
)
def test_what_cannot_pass_is_tried_once(hook, told, answer, said):
    hook.answers = [answer]
    sender = sender_by(["webhook:env:LAB_HOOK"], told)
    sender.send(notice())
    assert not sender.close()
    assert len(hook.texts) == 1
    (line,) = told
    assert said in line
    assert "/elsewhere" not in hook.paths


@pytest.mark.parametrize(
    "answer", ["500", "hang", pytest.param("drip", marks=pytest.mark.slow), "garbage"]
)
def test_one_that_never_takes_it_is_tried_a_few_times_and_told_of_once(hook, told, answer):
    hook.answers = [answer]
    pace = HASTY if answer in ("hang", "drip") else CALM
    sender = sender_by(["webhook:env:LAB_HOOK"], told, pace)
    for number in range(2):
        sender.send(notice(f"message {number}"))
    assert not sender.close()
    assert len(set(told)) == len(told) <= 2
    assert 4 <= len(hook.texts) <= 8
    assert all("not-for-others" not in line for line in told)


def test_an_answer_without_end_is_not_read(hook, told):
    hook.answers = ["flood"]
    sender = sender_by(["webhook:env:LAB_HOOK"], told)
    sender.send(notice())
    assert sender.close()
    assert len(hook.texts) == 1


def test_a_server_that_is_away_is_told_of_without_its_address(told, monkeypatch):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        monkeypatch.setenv("LAB_HOOK", f"http://127.0.0.1:{port}/services/not-for-others")
        sender = sender_by(["webhook:env:LAB_HOOK"], told)
        sender.send(notice())
        assert not sender.close()
    (line,) = told
    assert "does not answer" in line
    assert "not-for-others" not in line


def test_one_way_that_hangs_delays_no_other(hook, told, tmp_path):
    hook.answers = ["hang"]
    program = tmp_path / "tell"
    program.write_text(
        f"#!/bin/sh\ncat > {tmp_path}/message\necho $DELTASCALE_NOTICE_ABOUT > {tmp_path}/about\n"
    )
    program.chmod(0o700)
    sender = sender_by(["webhook:env:LAB_HOOK", f"command:{program}"], told, HASTY)
    sender.send(notice())
    assert not sender.close()
    assert (tmp_path / "message").read_text() == "the end\n4 ran"
    assert (tmp_path / "about").read_text() == "end\n"


def test_a_program_that_fails_or_is_gone_is_told_of(told, tmp_path):
    program = tmp_path / "tell"
    program.write_text("#!/bin/sh\nexit 7\n")
    program.chmod(0o700)
    sender = sender_by([f"command:{program}"], told)
    sender.send(notice())
    assert not sender.close()
    assert "code 7" in told[0]
    program.unlink()
    sender = sender_by([f"command:{program}"], told)
    sender.send(notice())
    assert not sender.close()
    assert "no such program" in told[1]


def test_a_queue_that_is_full_drops_and_never_waits(hook, told):
    hook.answers = ["hang"]
    sender = sender_by(["webhook:env:LAB_HOOK"], told, Pace(try_within_s=60, ends_within_s=0.1))
    for number in range(1000):
        sender.send(notice(f"message {number}"))
    assert not sender.close()
    assert len(told) == 2


def test_a_machine_without_a_thread_to_spare_goes_on_and_tells(hook, told, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    sender = sender_by(["webhook:env:LAB_HOOK"], told)
    with monkeypatch.context() as patch:
        patch.setattr("threading.Thread.start", refuse)
        sender.send(notice("the first"))
    sender.send(notice("the second"))
    assert not sender.close()
    assert [text.partition("\n")[0] for text in hook.texts] == ["the second"]
    assert len(told) == 1 and "no thread" in told[0]
