"""Speed of redaction, and how its time grows with the text: twice the text, how often the time?

    python -m benchmarks.redaction

Twenty invented secrets in all their forms; a log as jobs write it, lines of one megabyte without a
blank, and lines made to be slow. Then a progress bar through the pipe and keeper of a job's log.
"""

import random
import resource
import string
import sys
import tempfile
import time
from pathlib import Path

from cluster.redaction.redactor import Redactor
from jobs.worker.logs import captured

_MEGABYTE = 1_000_000
_RANDOM = random.Random(1)
_LINES = (
    *("step 12 loss 0.1234 grad_norm 1.5 tokens/s 3456.7\n", "tokenizer: loading /data/models/x\n"),
    *("2026-11-23 10:00:00 INFO jobs.training: accuracy = 0.51, lr=1e-06\n", "eos_token: '</s>'\n"),
    '{"loss": 0.5, "step": 3, "key": "3f2a9c", "cell": {"seed": 0}}\n',
)


def main() -> None:
    """Print the table."""
    secrets = {_letters(40): f"SECRET_{number}" for number in range(20)}
    redact = Redactor(secrets)
    print(f"{'1 MB of':24}{'MB/s':>8}{'twice the text':>16}")
    for name, text in _texts().items():
        once, twice = _seconds(redact, text), _seconds(redact, text + text)
        print(f"{name:24}{len(text) / once / 1e6:8.1f}{twice / once:15.2f}x")
    for number in (20_000, 40_000):
        print(f"{number} updates of a bar: {_bar(number):.2f} s")


def _texts() -> dict[str, str]:
    units = {"://": "://", "a:b@": "a:b@", "key=": "key=", 'key="': 'key="', "eyJ": "eyJ"}
    units |= {"=": "=", "blanks": " ", "?key=": "?key=", "-----BEGIN ": "-----BEGIN "}
    return {
        "a log": "".join(_RANDOM.choices(_LINES, k=40_000))[:_MEGABYTE],
        "one word": "x" * _MEGABYTE,
        "base64": _letters(_MEGABYTE),
        **{f"{name} again": unit * (_MEGABYTE // len(unit)) for name, unit in units.items()},
    }


def _letters(number: int) -> str:
    return "".join(_RANDOM.choices(string.ascii_letters + string.digits + "+/", k=number))


def _seconds(redact: Redactor, text: str) -> float:
    """Return the processor's time, the least of five: others may be at work on the machine."""
    times = []
    for _ in range(5):
        began = _processor_s()
        redact(text)
        times.append(_processor_s() - began)
    return min(times)


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _bar(number: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with captured(Path(folder) / "log.txt"):
            for update in range(number):
                sys.stderr.write(f"\r{update:6d}/{number} |{'#' * 60}| 12.3it/s")
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
