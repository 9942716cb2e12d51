"""The command `deltascale`: finds the verb, runs it, turns faults into one message and a code.

Exit codes: 0 complete, 1 finished with failed jobs or damage found, 2 the user's mistake,
3 the surroundings', 130 interrupted.
"""

import argparse
import errno
import importlib
import json
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from cluster.errors import DeltascaleError
from orchestrator.verb import Verb

_ORDER = (
    "new", "schema", "plan", "launch", "resume", "status",
    "logs", "cancel", "compare", "report", "verify", "gc",
)  # fmt: skip
"""How `--help` lists the verbs; a verb that is not named here comes after them."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Faults of a disk that holds no more, or no more of this user."""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes have the same form as all others."""

    def error(self, message: str) -> NoReturn:
        fault = {"error": message, "where": self.prog, "allowed": None, "hint": None}
        if "--json" in sys.argv:
            sys.stdout.write(json.dumps(fault) + "\n")
        else:
            sys.stderr.write(f"{self.prog}: {message}\n  hint:    {self.prog} --help\n")
        sys.exit(2)


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    words = list(sys.argv[1:] if words is None else words)
    try:
        return _run(words)
    except BrokenPipeError:
        # The reader of our output went away (`| head`); nothing is wrong.
        _say_no_more()
        return 0
    except OSError as fault:
        if fault.errno not in _FULL:
            raise
        _say_no_more()
        place = fault.filename or "standard output"
        sys.stderr.write(f"deltascale: cannot write: {fault.strerror}\n  where:   {place}\n")
        return 3
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command resumes\n")
        return 130


def _run(words: Sequence[str]) -> int:
    try:
        options = _parser(words).parse_args(words)
        verb: Verb = options.verb_module
        try:
            return verb.run(options)
        except DeltascaleError as fault:
            return _tell(fault, options.json)
    finally:
        sys.stdout.flush()  # what cannot be printed is told here, not lost at exit


def _say_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def verb_names() -> list[str]:
    """All verbs, in the order a study meets them."""
    files = (Path(__file__).parent / "verbs").glob("[a-z]*.py")
    names = sorted(file.stem.replace("_", "-") for file in files)
    return sorted(names, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="deltascale",
        description="Scaling studies of what preference training does inside language models.",
        epilog="Start with: deltascale new my-study.yaml",
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    names = verb_names()
    asked = next((word for word in words if not word.startswith("-")), None)
    if asked is not None and asked not in names:
        near = get_close_matches(asked, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        parser.error(f"unknown verb {asked!r}{hint} (there are: {', '.join(names)})")
    for name in names:
        module: Verb = importlib.import_module(f"orchestrator.verbs.{name.replace('-', '_')}")
        child = verbs.add_parser(name, help=module.HELP, description=module.HELP)
        child.add_argument(
            "--root", help="output root, a path or URL (default: $DELTASCALE_ROOT or ./results)"
        )
        child.add_argument("--json", action="store_true", help="answer in JSON")
        child.set_defaults(verb_module=module)
        module.arguments(child)
    return parser


def _tell(fault: DeltascaleError, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(fault.as_json()) + "\n")
    else:
        sys.stderr.write(f"deltascale: {fault}\n")
    return fault.exit_code


if __name__ == "__main__":
    sys.exit(main())
