import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.redaction.known_values import remember_secret
from cluster.redaction.redactor import Redactor
from jobs.worker.log_file import LogFile
from jobs.worker.log_lines import LogLines
from jobs.worker.logs import captured

SECRET = "halibut-of-the-log"


def wait_for(look, what):
    for _ in range(400):
        if look():
            return
        time.sleep(0.05)
    raise AssertionError(f"never seen: {what}")


def say(*words, end="\n"):
    sys.stdout.write(" ".join(words) + end)


def run(code, log):
    """Run a program in a process of its own; it has `path` and `captured`."""
    head = "import os, sys\nfrom pathlib import Path\nfrom jobs.worker.logs import captured\n"
    head += "path, say = Path(sys.argv[1]), print\n"
    return subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(code), str(log)],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_progress_bar_is_seen_while_it_runs(tmp_path):
    log = tmp_path / "log.txt"
    with captured(log):
        for i in range(3):
            sys.stderr.write(f"\r{i}/3 |###|")
        wait_for(lambda: log.read_bytes() == b"\r0/3 |###|\r1/3 |###|\r", "two updates")
    assert log.read_bytes().endswith(b"2/3 |###|\n")


def test_prints_log_records_and_old_streams_come_in_their_order(tmp_path):
    with captured(tmp_path / "first.txt"):
        say("one")
        kept = logging.StreamHandler(sys.stderr)  # as libraries keep the stream they met first
        logging.getLogger("a").warning("two")
        sys.stderr.write("three")
    assert (tmp_path / "first.txt").read_text().splitlines()[0] == "one"
    assert (tmp_path / "first.txt").read_text().endswith("WARNING a: two\nthree\n")
    with captured(tmp_path / "second.txt"):
        kept.emit(logging.makeLogRecord({"msg": "four"}))
    assert (tmp_path / "second.txt").read_text() == "four\n"


def test_secrets_are_taken_out_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_KEY", SECRET)
    log = tmp_path / "log.txt"
    with captured(log):
        say(SECRET[:7], end="")
        say(SECRET[7:], end="\r")
        remember_secret("opensesame-77", "LLM")
        say("x" * 300_000, SECRET, "y" * 300_000, "opensesame-77", "z" * 70_000, end="")
    text = log.read_text()
    assert SECRET not in text and "opensesame" not in text
    assert text.count("<OPENAI_KEY>") == 2 and text.count("<LLM>") == 1
    assert len(text) > 670_000


def test_the_keeper_has_no_secret_in_its_environment_or_command_line(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_KEY", SECRET)
    with captured(tmp_path / "log.txt"):
        (keeper,) = (
            process
            for process in psutil.Process().children()
            if "log_keeper" in " ".join(process.cmdline())
        )
        assert keeper.environ().keys() <= {"LC_CTYPE"}
        assert SECRET not in " ".join(keeper.cmdline())


def test_descriptors_belong_to_the_attempt_of_a_process_of_its_own(tmp_path):
    log = tmp_path / "log.txt"
    result = run(
        """
        import ctypes, subprocess
        os.environ["OPENAI_KEY"] = "swordfish-of-the-lab"
        say("before", flush=True)
        for number in (1, 2):
            with captured(path if number == 1 else path.parent / "other.txt", whole_process=True):
                print("python")
                os.write(2, b"native swordfish-of-the-lab\\n")
                ctypes.CDLL(None).puts(b"libc")
                subprocess.run(["sh", "-c", "echo child; echo child >&2"])
        say("after")
        """,
        log,
    )
    assert result.stdout == "before\nafter\n" and result.stderr == ""
    for path in (log, tmp_path / "other.txt"):
        lines = sorted(path.read_text().splitlines())
        assert lines == ["child", "child", "libc", "native <OPENAI_KEY>", "python"]


def test_the_worker_alone_has_its_log_open(tmp_path):
    log = tmp_path / "log.txt"
    with captured(log):
        say("a line")
        wait_for(lambda: log.stat().st_size, "the line")
        me = psutil.Process()
        assert str(log) in {file.path for file in me.open_files()}
        keepers = [child for child in me.children() if "log_keeper" in " ".join(child.cmdline())]
        assert keepers
        for keeper in keepers:
            wait_for(lambda keeper=keeper: not keeper.open_files(), "a keeper at rest")


def test_a_process_that_does_more_keeps_its_descriptors(tmp_path, capfd):
    with captured(tmp_path / "log.txt"):
        os.write(1, b"terminal\n")
        say("log")
    assert capfd.readouterr().out == "terminal\n"
    assert (tmp_path / "log.txt").read_text() == "log\n"


def test_the_stacks_of_a_crash_are_in_the_log(tmp_path):
    log = tmp_path / "log.txt"
    for whole in (True, False):
        result = run(
            f"""
            import faulthandler
            with captured(path, whole_process={whole}):
                sys.stdout.write("last words")
                faulthandler._sigsegv()
            """,
            log,
        )
        assert result.returncode == -signal.SIGSEGV
        wait_for(lambda: "most recent call first" in log.read_text(), "the stack")
        assert log.read_text().startswith("last words") and "Segmentation fault" in log.read_text()
        log.unlink()


def test_what_was_written_before_a_kill_is_in_the_log(tmp_path):
    log = tmp_path / "log.txt"
    result = run(
        """
        import signal
        with captured(path, whole_process=True):
            for i in range(20_000):
                print(i)
            os.write(1, b"half a line")
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        log,
    )
    assert result.returncode == -signal.SIGKILL
    wait_for(lambda: log.read_text().endswith("19999\nhalf a line\n"), "the last line")
    assert log.read_text().splitlines()[:20_000] == [str(i) for i in range(20_000)]


def test_a_process_that_is_left_behind_does_not_hold_the_end_up(tmp_path):
    log = tmp_path / "log.txt"
    with captured(log):
        child = subprocess.Popen(["sleep", "30"], stdout=sys.stdout, stderr=sys.stderr)
        say("done")
    assert log.read_text() == "done\n"
    child.kill()
    child.wait()


def test_a_job_goes_on_when_its_keeper_dies_and_the_next_log_has_another(tmp_path):
    with captured(tmp_path / "first.txt"):
        for process in psutil.Process().children():
            if "log_keeper" in " ".join(process.cmdline()):
                process.kill()
                process.wait(10)
        say("nobody hears this")
    with captured(tmp_path / "second.txt"):
        say("heard")
    assert (tmp_path / "second.txt").read_text() == "heard\n"


def test_threads_write_whole_lines(tmp_path):
    def write():
        for i in range(500):
            sys.stdout.write(f"{i} {'a' * 100}\n")

    with captured(tmp_path / "log.txt"):
        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert len(lines) == 2000 and all(line.endswith(" " + "a" * 100) for line in lines)


def test_a_long_log_keeps_its_beginning_and_end_and_says_what_is_missing(tmp_path):
    file = LogFile(tmp_path / "log.txt", head_bytes=1000, tail_bytes=2000)
    lines = [f"line {i:06d}\n".encode() for i in range(5000)]
    for line in lines:
        file.write(line)
        assert (tmp_path / "log.txt").stat().st_size <= 5200
    content = (tmp_path / "log.txt").read_bytes()
    head, _, rest = content.partition(b"[... ")
    note, _, tail = rest.partition(b"]\n")
    assert b"".join(lines).startswith(head) and len(head) > 980
    assert b"".join(lines).endswith(tail) and len(tail) > 1900
    num_left_out = int(note.split()[0])
    missing = len(b"".join(lines)) - len(head) - len(tail)
    assert note.endswith(b"bytes of this log were left out here")
    # Earlier notes were left out, too: less than a hundredth.
    assert missing <= num_left_out <= missing * 1.1


def test_an_interrupted_end_of_a_log_does_not_hurt_the_next_one(tmp_path, monkeypatch):
    from jobs.worker.logs import _KEEPERS

    def interrupt(number):
        raise KeyboardInterrupt

    with captured(tmp_path / "first.txt"):
        say("one")
    monkeypatch.setattr(_KEEPERS, "_hear", interrupt)
    with pytest.raises(KeyboardInterrupt), captured(tmp_path / "second.txt"):
        say("two")
    monkeypatch.undo()
    for number in range(20):
        with captured(tmp_path / f"{number}.txt"):
            say("x" * 100_000)
        assert len((tmp_path / f"{number}.txt").read_text()) == 100_001


def test_a_log_that_cannot_be_opened_is_done_without(tmp_path):
    file = LogFile(tmp_path / "nowhere" / "log.txt")
    file.write(b"unheard\n")
    assert not (tmp_path / "nowhere").exists()


def test_a_disk_that_takes_nothing_loses_lines_and_says_so(tmp_path, monkeypatch):
    file = LogFile(tmp_path / "log.txt")
    write = os.write

    def full(descriptor, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    file.write(b"lost\n")
    monkeypatch.setattr(os, "write", write)
    file.write(b"kept\n")
    assert (tmp_path / "log.txt").read_text() == (
        "\n[... 5 bytes were lost: the disk took none]\nkept\n"
    )


@given(
    st.lists(st.sampled_from(["a line\n", "sesame-", "77!", "\r", "half ", "é", "😀\n"])), st.data()
)
def test_where_reads_end_changes_nothing(pieces, data):
    text = "".join(pieces).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    redact = Redactor({"sesame-77!": "KEY"})
    written = []
    lines = LogLines(written.append, redact, lambda: redact.longest)
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        lines.take(text[start:end])
    lines.finish()
    is_open = bool(text) and text[-1:] not in (b"\n", b"\r")
    assert b"".join(written).decode() == redact(text.decode()) + ("\n" if is_open else "")


@pytest.mark.parametrize("gap", range(0, 9000, 300))
def test_a_secret_where_a_long_line_is_cut_is_found(gap):
    redact = Redactor({"sesame-77!": "KEY"})
    written = []
    lines = LogLines(written.append, redact, lambda: redact.longest)
    text = b"x" * (65_536 - gap) + b"sesame-77!" * 3 + b"x" * 100_000
    for start in range(0, len(text), 4096):
        lines.take(text[start : start + 4096])
    lines.finish()
    assert b"".join(written).count(b"<KEY>") == 3 and b"sesame" not in b"".join(written)


def test_a_private_key_that_comes_line_by_line_is_taken_out():
    frame = "-----BEGIN RSA " + "PRIVATE KEY-----"
    body = [f"{'ab1' * 20}{i}" for i in range(20)]
    redact = Redactor({})
    written = []
    lines = LogLines(written.append, redact, lambda: 0)
    for line in ["before", frame, *body, frame.replace("BEGIN", "END"), "after"]:
        lines.take(line.encode() + b"\n")
    lines.finish()
    assert b"".join(written) == b"before\n<private key>\nafter\n"
