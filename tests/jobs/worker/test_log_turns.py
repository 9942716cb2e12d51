import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import psutil
from hypothesis import given
from hypothesis import strategies as st

from cluster.redaction.known_values import remember_secret
from jobs.worker.log_turns import Mark, Turns, additions, new_prefix, written
from jobs.worker.logs import add_to_log, captured, taking_turns
from tests.jobs.worker.test_logs import say, wait_for

PIECES = st.lists(
    st.one_of(
        st.binary(max_size=40).map(lambda data: ("bytes", data)),
        st.sampled_from(
            [("log", "/a/log.txt"), ("log", "/b/log.txt"), ("add", "x\n"), ("end", "")]
        ),
    ),
    max_size=12,
)


def mark_of(kind: str, value: str) -> Mark:
    if kind == "log":
        return Mark(log=value)
    return Mark(add_to="/early/log.txt", text=value) if kind == "add" else Mark()


@given(PIECES, st.integers(1, 200))
def test_however_a_pipe_is_read_each_byte_goes_to_the_log_whose_turn_it_is(pieces, num_bytes):
    prefix, got, wanted, whole = new_prefix(), [], [], b""

    def take(into, data):
        if into and isinstance(into[-1], bytes):
            into[-1] += data
        elif data:
            into.append(data)

    for kind, value in pieces:
        if kind == "bytes":
            take(wanted, value)
            whole += value
        else:
            wanted.append(mark_of(kind, value))
            whole += written(prefix, wanted[-1])
    whole += prefix.encode()[:7]  # what is no mark, for all that it begins like one
    take(wanted, prefix.encode()[:7])
    turns = Turns(prefix, lambda data: take(got, data), got.append)
    for start in range(0, len(whole), num_bytes):
        turns.take(whole[start : start + num_bytes])
    turns.finish()
    assert got == wanted


def test_a_long_text_is_added_in_pieces_that_are_each_written_at_once():
    text = "\x01é" * 5000
    marks = list(additions(Path("/log.txt"), text))
    assert "".join(mark.text for mark in marks) == text
    assert all(written(new_prefix(), mark) is not None for mark in marks)
    assert written(new_prefix(), Mark(log="x" * 5000)) is None


def test_attempts_that_take_turns_have_their_words_each_in_their_own_log(tmp_path):
    first, second, third = (tmp_path / f"{name}.txt" for name in ("first", "second", "third"))
    with taking_turns():
        with captured(first, takes_turn=True):
            say("one")
            sys.stdout.write("no end")
        with captured(second, takes_turn=True):
            say("two")
            ended = threading.Thread(target=add_to_log, args=(first, "first is done\n"))
            ended.start()
            ended.join()
            say("still two")
        with captured(third, takes_turn=True):
            pass
        add_to_log(second, "second is done\n")
    assert first.read_text() == "one\nno end\nfirst is done\n"
    assert second.read_text() == "two\nstill two\nsecond is done\n"
    assert third.read_text() == ""


def test_secrets_are_in_no_log_of_a_turn(tmp_path):
    with taking_turns(), captured(tmp_path / "log.txt", takes_turn=True):
        remember_secret("haddock-of-the-turn", "FISH")
        say("it is haddock-of-the-turn")
    assert "haddock" not in (tmp_path / "log.txt").read_text()
    assert "FISH" in (tmp_path / "log.txt").read_text()


def test_without_turns_and_for_a_path_too_long_a_log_has_a_pipe_of_its_own(tmp_path, monkeypatch):
    with captured(tmp_path / "alone.txt", takes_turn=True):
        say("alone")
    assert (tmp_path / "alone.txt").read_text() == "alone\n"
    monkeypatch.setattr("jobs.worker.log_turns._LONGEST_MARK", 60)
    with taking_turns():
        with captured(tmp_path / "long.txt", takes_turn=True):
            say("long")
        add_to_log(tmp_path / "long.txt", "done\n")
    assert (tmp_path / "long.txt").read_text() == "long\ndone\n"


def test_a_turn_whose_keeper_has_died_has_another(tmp_path):
    with taking_turns():
        with captured(tmp_path / "first.txt", takes_turn=True):
            for process in psutil.Process().children():
                if "log_keeper" in " ".join(process.cmdline()):
                    process.kill()
                    process.wait(10)
        with captured(tmp_path / "second.txt", takes_turn=True):
            say("heard")
        add_to_log(tmp_path / "second.txt", "done\n")
    assert (tmp_path / "second.txt").read_text() == "heard\ndone\n"


def test_what_a_killed_worker_wrote_in_its_turn_is_in_that_log_and_its_death_is_seen(tmp_path):
    code = """
        import os, signal, sys
        from pathlib import Path
        from jobs.worker.logs import add_to_log, captured, taking_turns
        folder = Path(sys.argv[1])
        with taking_turns(whole_process=True):
            with captured(folder / "1/log.txt", whole_process=True, takes_turn=True):
                os.write(2, b"from outside Python\\n")
            with captured(folder / "2/log.txt", whole_process=True, takes_turn=True):
                add_to_log(folder / "1/log.txt", "done\\n")
                os.system("echo of a child; echo again >&2")
                os.write(1, b"half a line")
                os.kill(os.getpid(), signal.SIGKILL)
    """
    words = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout == ""
    wait_for(lambda: (tmp_path / "2/witnesses/log.json").exists(), "the keeper's testimony")
    assert (tmp_path / "1/log.txt").read_text() == "from outside Python\ndone\n"
    assert (tmp_path / "2/log.txt").read_text() == "of a child\nagain\nhalf a line\n"
    assert not (tmp_path / "1/witnesses").exists()


def test_descriptors_are_given_back_after_the_last_turn(tmp_path):
    before = {number: os.fstat(number) for number in (1, 2)}
    num_open = len(os.listdir("/proc/self/fd"))
    with taking_turns(whole_process=True):
        for name in "abc":
            with captured(tmp_path / f"{name}.txt", whole_process=True, takes_turn=True):
                os.write(1, name.encode())
    assert [(tmp_path / f"{name}.txt").read_text() for name in "abc"] == ["a\n", "b\n", "c\n"]
    assert all(os.path.samestat(os.fstat(number), before[number]) for number in before)
    # The socket of the keeper may be new.
    assert len(os.listdir("/proc/self/fd")) <= num_open + 1
