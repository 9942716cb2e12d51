"""The command `deltascale`: finds the verb, runs it, turns faults into one message and a code.

Exit codes: 0 complete, 1 finished with failed jobs or damage found, 2 the user's mistake,
3 the surroundings', 70 a fault of this program, 75 gave up waiting for the surroundings, 76 the
budget is spent (after both, jobs were asked to save), 130 interrupted. A launch ends with the code
of its `LaunchState`, a fault with that of its class.
"""

import argparse
import io
import json
import os
import re
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, NoReturn

from cluster.errors import DeltascaleError, UserError, unknown_name
from cluster.home import missing_home
from cluster.machine.left_over_variables import BACKEND
from cluster.machine.set_variables import variables_set
from cluster.machine.way_out import asked_directly
from orchestrator.console import (
    NobodyReads,
    answers,
    hear_children,
    note,
    open_closed_streams,
    say,
    say_json,
    taken_for_answers,
)
from orchestrator.printed_commands import as_typed, printed_for
from orchestrator.verb import VERBS, Verb, words_to_root

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

_PROGRAM = "deltascale"
_LIBRARIES = ("torch", "ray", "transformers", "trl")
"""Libraries that `--version` reports; they are looked up, never imported."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        words: what follows `deltascale`; those of this process when not given.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if words is None else words)
    open_closed_streams()
    hear_children()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # No text of a user's may end in an error because this terminal cannot show it.
            stream.reconfigure(errors="backslashreplace")
    # Commands show no windows, and a notebook's backend would keep matplotlib from being imported.
    own = {BACKEND: None, **missing_home(), **asked_directly()}
    with taken_for_answers(), variables_set(own):
        return _run(words)


def _run(words: Sequence[str]) -> int:
    """Answer one command line, or report why not; return the exit code."""
    options = argparse.Namespace()
    with printed_for(partial(words_to_root, options)):
        return _run_with(words, options)


def _run_with(words: Sequence[str], options: argparse.Namespace) -> int:
    from jobs.entries.own_entries import apart

    try:
        with apart():
            code = _answer(words, options)
        answers().flush()  # a full disk is reported here, not lost at exit
        return code
    except NobodyReads:
        return 0
    except (Exception, KeyboardInterrupt) as error:  # the last boundary
        from cluster.redaction.redactor import redacted
        from orchestrator.unforeseen import fault_of

        if "--debug" in words:
            sys.stderr.write(redacted(traceback.format_exc()))

        fault = fault_of(error, words, getattr(options, "root", None))
        _report(fault, words, options)
        return fault.exit_code


def verb_names() -> list[str]:
    """List all verbs, in the order in which a study meets them."""
    return sorted(VERBS.names(), key=lambda name: (VERBS.find(name).ORDER, name))


def _report(fault: DeltascaleError, words: Sequence[str], options: argparse.Namespace) -> None:
    """Write a fault to standard error, or as JSON to standard output where that takes anything."""
    from cluster.redaction.redactor import redacted
    from orchestrator.refusals import refusal_document

    if "--json" in words:
        try:
            content = {
                name: redacted(as_typed(value)) if isinstance(value, str) else value
                for name, value in refusal_document(fault, words, options).items()
            }
            answers().write(json.dumps(content) + "\n")
            answers().flush()
            return
        except OSError:
            pass
    _discard_output_unless_written()
    note(f"{_PROGRAM}: {redacted(str(fault))}")


def _discard_output_unless_written() -> None:
    try:
        answers().flush()
    except OSError:
        _discard_output()


def _answer(words: Sequence[str], options: argparse.Namespace) -> int:
    """Run the verb, or answer what can be asked without one.

    Args:
        words: the command line, after the program's name.
        options: takes what the words after the verb say, as far as they are read.

    Returns:
        The exit code.
    """
    first = words[0] if words else "--help"
    if first in ("--help", "-h"):
        _print_help()
        return 0
    if first == "--version":
        _print_version(as_json="--json" in words)
        return 0
    if first.startswith("-"):
        raise unknown_name("option", first, ["--help", "--version"], where=_PROGRAM)
    verb = VERBS.find(first, where=f"{_PROGRAM} VERB")
    read_options(first, verb, words[1:], options)
    return verb.run(options)


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), answers().fileno())


def _print_help() -> None:
    say(f"usage: {_PROGRAM} VERB …      {_PROGRAM} VERB --help      {_PROGRAM} --version\n")
    say("Scaling studies of what preference training does inside language models.\n")
    for name in verb_names():
        say(f"  {name:<10} {VERBS.find(name).HELP}")
    say(f"\nStart with: {_PROGRAM} new my-study.yaml")


def _print_version(*, as_json: bool) -> None:
    from jobs.worker.versions import code_commit

    versions: dict[str, str | None] = {
        _PROGRAM: _version_of(_PROGRAM),
        "commit": code_commit(),
        "python": sys.version.split()[0],
        **{name: _version_of(name) for name in _LIBRARIES},
    }
    if as_json:
        say_json(versions)
        return
    for name, version in versions.items():
        absent = "not a checkout" if name == "commit" else "not installed"
        say(f"{name:<12} {version or absent}")


def _version_of(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


class _Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are user errors, and never a dump of the usage."""

    def error(self, message: str) -> NoReturn:
        """Raise a user error for what argparse itself found out."""
        message = message.replace("the following arguments are required:", "missing argument:")
        raise UserError(message, where=self.prog, hint=f"`{self.prog} --help`")

    def print_help(self, file: "SupportsWrite[str] | None" = None) -> None:
        """Write how the verb is used, as its answer."""
        super().print_help(file or answers())

    @property
    def options(self) -> list[str]:
        """Names of all options that begin with `--`."""
        return [name for name in self._option_string_actions if name.startswith("--")]


def read_options(name: str, verb: Verb, words: Sequence[str], options: argparse.Namespace) -> None:
    """Read the words after a verb into the options; arguments and options come in any order.

    Raises:
        UserError: they are not those that the verb takes.
    """
    parser = _Parser(prog=f"{_PROGRAM} {name}", description=f"{verb.HELP}.", exit_on_error=False)
    # `--patience -1h` has a value, if a wrong one: whoever reads it says what is allowed.
    parser._negative_number_matcher = re.compile(r"-\.?\d")
    parser.add_argument(
        "--root", help="output root, a path or URL (default: $DELTASCALE_ROOT or ./results)"
    )
    parser.add_argument(
        "--on",
        metavar="PROFILE",
        help="a profile, by name or path: where jobs run, and the root unless --root says another",
    )
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.add_argument("--debug", action="store_true", help="show the stack of any fault")
    verb.arguments(parser)
    _check_options(parser, words)
    try:
        _, surplus = parser.parse_known_intermixed_args(words, options)
    except argparse.ArgumentError as fault:
        raise _argument_error(parser, fault) from None
    if surplus:
        what = "unknown option" if surplus[0].startswith("-") else "unexpected argument"
        raise UserError(f"{what} {surplus[0]!r}", where=parser.prog, hint=f"`{parser.prog} --help`")


def _check_options(parser: _Parser, words: Sequence[str]) -> None:
    """Refuse an unknown option before anything else: what follows it may be its value."""
    for word in words:
        if word == "--":
            return
        name = word.partition("=")[0]
        if name.startswith("--") and not any(option.startswith(name) for option in parser.options):
            raise unknown_name("option", name, parser.options, where=parser.prog)


def _argument_error(parser: _Parser, fault: argparse.ArgumentError) -> UserError:
    """Make the user error for an option whose value is missing or wrong."""
    where = f"{parser.prog} {fault.argument_name or ''}".rstrip()
    for action in parser._actions:
        choices = action.choices and [str(choice) for choice in action.choices]
        if choices and "/".join(action.option_strings) == fault.argument_name:
            written = fault.message.partition("'")[2].partition("'")[0]
            if fault.message.startswith("invalid choice"):
                return unknown_name("value", written, choices, where=where)
    missing = fault.message.replace("expected one argument", "a value is missing")
    return UserError(missing, where=where, hint=f"`{parser.prog} --help`")


if __name__ == "__main__":
    sys.exit(main())
