"""Check this machine's GPU, part by part, each in a process of its own.

    python -m benchmarks.gpu [--parts parity,moments] [--into FOLDER] [--rehearse]
    python -m benchmarks.gpu --take gpu-check-H200-2026-12-01.json

Needs no network, no Ray and no W&B. A part that does not fit this machine, or lacks something, is
skipped with the reason; one that fails, or takes more than five minutes, leaves what it had, and
the next one is run. What a part has is written every few seconds: where the whole is ended, so is
the part, and what was measured stands there. Ends with 1 where something that is held to an aim
missed it, with 130 when interrupted. `--rehearse` runs every part's own code on a processor, with
tiny shapes, and writes nothing.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gpu.results import (
    FAILED,
    MEASURED,
    RESULTS,
    SKIPPED,
    UNFINISHED,
    new_document,
    path_of,
    save,
    table,
)
from cluster.machine.gpu_variables import gpu_variables
from cluster.machine.left_over_variables import one_process
from cluster.machine.visible_gpus import VARIABLE, visible_gpus

ROOT = Path(__file__).parents[2]
_SHOWN = 25
"""Lines of what a failed part wrote that are shown."""
_LOOK_EVERY_S = 5.0
_ENDS_WITH_US = "--ends-with-input"
_INTERRUPTED_CODE = 130


def main() -> int:
    """Run the parts asked for; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default="", help="names between commas; all without")
    parser.add_argument("--into", type=Path, default=RESULTS, help="where results are written")
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("--commit", help="of this code, where it is no checkout")
    parser.add_argument(
        "--take", type=Path, help="only join a JSON that was brought from another machine"
    )
    parser.add_argument("--limit", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    parser.add_argument(_ENDS_WITH_US, action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.ends_with_input:
        threading.Thread(target=_end_with_input, daemon=True).start()
    if chosen.one is not None:
        with one_process():
            return _run_here(chosen.one, chosen.rows, rehearses=chosen.rehearse)
    if chosen.take is not None:
        print(save(json.loads(chosen.take.read_text(encoding="utf-8")), chosen.into))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was found is kept
    return _check(chosen)


def _check(chosen: argparse.Namespace) -> int:
    from benchmarks.gpu.part import LIMIT_S, find_part, in_order

    names = [name.strip() for name in chosen.parts.split(",") if name.strip()] or in_order()
    for name in names:
        find_part(name)  # an unknown one is said before anything runs
    is_interrupted = False
    with tempfile.TemporaryDirectory() as folder:
        machine = _look(Path(folder), rehearses=chosen.rehearse)
        document = new_document(machine, chosen.commit)

        def keep(name: str, found: dict[str, Any]) -> None:
            document["parts"][name] = found
            if not chosen.rehearse:
                save(document, chosen.into)

        for name in names:
            print(f"== {name}: {find_part(name).QUESTION}", flush=True)
            limit_s = chosen.limit or LIMIT_S
            words = [*_words(name, Path(folder, f"{name}.jsonl"), chosen.rehearse), _ENDS_WITH_US]
            shown = one_gpu() if find_part(name).LEAST_GPUS == 1 else {}
            found = run_apart(
                words, Path(folder, name), limit_s, shown, meanwhile=partial(keep, name)
            )
            keep(name, found)
            if found["state"] != MEASURED:
                print(f"{found['state']}: {found['reason']}", flush=True)
            if is_interrupted := found["state"] == UNFINISHED:
                break
    if chosen.rehearse:
        print("\n".join(table(document)))
    else:
        path = path_of(document, chosen.into)
        print(f"{path} and its table {path.with_suffix('.md').name}")
    rows = [row for found in document["parts"].values() for row in found["rows"]]
    missed = [row["what"] for row in rows if row["holds"] is False]
    failed = [
        name for name, found in document["parts"].items() if found["state"] in (FAILED, UNFINISHED)
    ]
    print(f"missed: {'; '.join(missed) or 'nothing'}. Failed: {', '.join(failed) or 'nothing'}.")
    if is_interrupted:
        return _INTERRUPTED_CODE
    return int(bool(failed or (missed and not chosen.rehearse)))


def _look(folder: Path, *, rehearses: bool) -> dict[str, Any]:
    """Describe the machine; in a process of its own, since looking takes memory of the GPU."""
    rows = folder / "machine.json"
    done = subprocess.run(_words("", rows, rehearses), cwd=ROOT, env=_environment(), check=False)
    if done.returncode or not rows.exists():
        raise SystemExit(done.returncode or 1)
    machine: dict[str, Any] = json.loads(rows.read_text(encoding="utf-8"))
    return machine


def run_apart(
    words: Sequence[str],
    files: Path,
    limit_s: float,
    shown: Mapping[str, str] | None = None,
    *,
    meanwhile: Callable[[dict[str, Any]], None] = lambda found: None,
) -> dict[str, Any]:
    """Run one part in a process; return its entry in the document.

    Args:
        words: its command.
        files: `.jsonl` beside it is where it writes rows, `.txt` what it says of errors.
        limit_s: seconds after which it is ended.
        shown: variables that say which GPUs it sees; all of them without.
        meanwhile: takes the entry as it would be if all ended now, every few seconds.
    """
    rows, log = files.with_suffix(".jsonl"), files.with_suffix(".txt")
    began = time.monotonic()

    def entry(state: str, reason: str) -> dict[str, Any]:
        lines = rows.read_text(encoding="utf-8").splitlines() if rows.exists() else []
        found = [row for line in lines if (row := _read(line)) is not None]
        skipped = next((row["skipped"] for row in found if "skipped" in row), None)
        return {
            "state": SKIPPED if state == MEASURED and skipped else state,
            "reason": reason or skipped or "",
            "seconds": round(time.monotonic() - began, 1),
            "rows": [row for row in found if "skipped" not in row],
        }

    with (
        log.open("wb") as output,
        subprocess.Popen(
            words, cwd=ROOT, env={**_environment(), **(shown or {})}, stderr=output,
            stdin=subprocess.PIPE, start_new_session=True,
        ) as process,
    ):  # fmt: skip
        try:
            while (code := _ended(process, min(_LOOK_EVERY_S, limit_s))) is None:
                if time.monotonic() - began >= limit_s:
                    reason = f"took more than {limit_s:g} s and was ended"
                    break
                meanwhile(entry(UNFINISHED, "it was still running when this was written"))
            else:
                reason = f"ended with exit code {code}" if code else ""
        except KeyboardInterrupt:
            return entry(UNFINISHED, "it was interrupted")
        finally:
            with suppress(ProcessLookupError):  # what it started is in its group
                os.killpg(process.pid, signal.SIGKILL)
    if reason:
        written = log.read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n".join(written[-_SHOWN:]), file=sys.stderr, flush=True)
        reason = f"{reason}: {written[-1].strip()[:300]}" if written else reason
    return entry(FAILED if reason else MEASURED, reason)


def _ended(process: "subprocess.Popen[bytes]", within_s: float) -> int | None:
    with suppress(subprocess.TimeoutExpired):
        return process.wait(within_s)
    return None


def _read(line: str) -> dict[str, Any] | None:
    """Read a row; None where it is still being written."""
    try:
        row: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return row


def _end_with_input() -> None:
    """End this part, and what it started, once nobody holds the other end of its standard input.

    It has a session of its own: whatever ends the check by force would leave it on the GPU.
    """
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


def _run_here(name: str, rows: Path, *, rehearses: bool) -> int:
    """Run one part in this process, or describe the machine; what it finds goes to a file."""
    from benchmarks.gpu.machine import describe, look
    from benchmarks.gpu.part import find_part

    machine = look(rehearses=rehearses)
    if not name:
        rows.write_text(json.dumps(describe(machine)), encoding="utf-8")
        return 0
    part = find_part(name)
    with rows.open("w", encoding="utf-8") as file:
        why_not = part.why_not(machine)
        if why_not is not None:
            file.write(json.dumps({"skipped": why_not}) + "\n")
            return 0
        for row in part.rows(machine):
            file.write(json.dumps(row.to_json()) + "\n")
            file.flush()
            held = {True: "ok   ", False: "WRONG", None: "     "}[row.holds]
            print(f"{held} {row.what}: {row.value} {row.unit} {row.note}", flush=True)
    return 0


def _words(name: str, rows: Path, rehearses: bool) -> list[str]:
    words = [sys.executable, "-m", "benchmarks.gpu", "--one", name, "--rows", str(rows)]
    return [*words, "--rehearse"] if rehearses else words


def one_gpu() -> dict[str, str]:
    """Return the variable that shows a process the first of the GPUs that this one is shown.

    Trainers spread a batch over all GPUs that they see: TRL refuses that, and elsewhere what was
    measured of one GPU would be of several.
    """
    gpus = visible_gpus()
    if gpus:
        return {VARIABLE: gpus[0].identifier}
    return {} if VARIABLE in os.environ else {VARIABLE: "0"}


def _environment() -> dict[str, str]:
    """Return the variables of a part: those of a job on a GPU, and no network."""
    own = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    path = os.environ.get("PYTHONPATH")
    if path:
        own["PYTHONPATH"] += os.pathsep + path
    return {**os.environ, **gpu_variables(), **own}


if __name__ == "__main__":
    sys.exit(main())
