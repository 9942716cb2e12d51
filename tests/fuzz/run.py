"""Runs cases of one fuzzer in a process of their own, which is bounded in memory and time.

    python -m tests.fuzz.run studies --cases 1000 --seed 0      a seed makes the same cases again
    python -m tests.fuzz.run studies --cases 1 --seed 417       one case of those

Prints one JSON line per fault, and one with the counts at the end.
"""

import argparse
import contextlib
import faulthandler
import io
import json
import os
import sys
import tempfile
import time
import traceback
from importlib import import_module
from pathlib import Path
from random import Random

from tests.fuzz.guard import Hang, Watch, limit_memory, limit_time, outside_of

FUZZERS = ("studies", "root_files", "checkpoints", "data_files", "command_lines")
MOST_BYTES = 6 << 30
MOST_SECONDS = 10.0
"""Processor time of a case."""
MOST_WAITING_S = 120.0
"""Time of a case on a clock, on a machine that does something else beside."""


class Wrong(Exception):
    """A case ended as none may."""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("fuzzer", choices=FUZZERS)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.dont_write_bytecode = True
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        _set_up(Path(place))
        fuzzer = import_module(f"tests.fuzz.{options.fuzzer}").Fuzzer(Path(place) / "given")
        limit_memory(MOST_BYTES)
        num_faults = _run(fuzzer, Path(place), range(options.seed, options.seed + options.cases))
    print(json.dumps({"cases": options.cases, "faults": num_faults}))  # noqa: T201
    return 1 if num_faults else 0


def _set_up(place: Path) -> None:
    """Give the process a home, a temporary folder and no way out."""
    for name in ("home", "tmp", "given", "work", "outside"):
        (place / name).mkdir()
    (place / "outside/file").write_text("{}")  # where links lead that a case plants
    os.environ.update(
        HOME=str(place / "home"),
        TMPDIR=str(place / "tmp"),
        HF_HUB_OFFLINE="1",
        WANDB_MODE="disabled",
        OMP_NUM_THREADS="1",
    )
    os.environ.pop("DELTASCALE_ROOT", None)
    tempfile.tempdir = None
    faulthandler.enable()


def _run(fuzzer: object, place: Path, seeds: range) -> int:
    watch, num_faults = Watch(), 0
    os.chdir(place / "work")
    for seed in seeds:
        # A case that hangs where no signal is heard ends the process with its stack.
        faulthandler.dump_traceback_later(2 * MOST_WAITING_S, exit=True)
        fault = _case(fuzzer, watch, place, seed)
        if fault is not None:
            num_faults += 1
            print(json.dumps({"seed": seed, **fault}), flush=True)  # noqa: T201
    faulthandler.cancel_dump_traceback_later()
    return num_faults


def _case(fuzzer: object, watch: Watch, place: Path, seed: int) -> dict[str, str] | None:
    rng, started = Random(seed), time.monotonic()
    allowed = [place / name for name in (getattr(fuzzer, "WRITES", "work"), "tmp")]
    before = outside_of(place, allowed)
    told = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    kind, error = "", ""
    with watch.only_in(*allowed) as outside:
        try:
            with (
                limit_time(MOST_SECONDS, MOST_WAITING_S),
                contextlib.redirect_stdout(told),
                contextlib.redirect_stderr(told),
            ):
                fuzzer.case(rng, place / "work")  # type: ignore[attr-defined]
        except Hang:
            kind, error = "hang", traceback.format_exc()
        except MemoryError:
            kind, error = "memory", traceback.format_exc()
        except Exception:
            kind, error = "traceback", traceback.format_exc()
    changed = sorted(dict(before.items() ^ outside_of(place, allowed).items()))
    if outside or changed:
        kind, error = "outside", "; ".join([*outside[:5], *changed[:5]])
    if not kind:
        return None
    told.flush()
    said = told.buffer.getvalue().decode(errors="replace")  # type: ignore[attr-defined]
    return {
        "kind": kind,
        "seconds": f"{time.monotonic() - started:.1f}",
        "error": error[-3000:],
        "told": said[-1500:],
    }


def command(*words: str) -> int:
    """Run one command line of ours. Raises Wrong when it ends as none may."""
    from orchestrator.cli import main as deltascale

    written = io.StringIO()
    with contextlib.redirect_stderr(written):
        code = deltascale([*words, "--debug"])
    said = written.getvalue()
    sys.stderr.write(said)
    if code not in (0, 1, 2, 3, 75, 130):
        raise Wrong(f"{' '.join(words)[:300]} ended with {code}\n{said[-2500:]}")
    if "ran out of memory" in said:
        raise MemoryError(said[-2500:])
    return code


if __name__ == "__main__":
    sys.exit(main())
