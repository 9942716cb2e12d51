"""Verb `compare`: cross-scale tables of one or several studies, in any format."""

import argparse
import math
from typing import TYPE_CHECKING

from cluster.errors import UserError
from orchestrator.console import answers, note
from orchestrator.verb import chosen_root

if TYPE_CHECKING:
    from orchestrator.views.several_studies import Gathered

ORDER = 90
HELP = "print cross-scale tables: rows, columns, metrics and format as you like"

_VIEW_OPTIONS = [
    "rows",
    "columns",
    "metrics",
    "site",
    "position",
    "depth",
    "controls",
    "references",
    "contrasts",
]
"""Options that stand in place of params of the study's own comparison."""
_PLACE = ("site", "position", "depth", "at")
_HEEDED = {
    "long": ("where", "at"),
    "answers": _PLACE,
    "trace": _PLACE,
    "contrasts": ("metrics", "where", *_PLACE),
}
"""What is printed in place of the table -> the view options that change it."""
_INSTEAD = {
    "long": "`--where COLUMN=VALUE` keeps rows of the long table: --where metric=consistency",
    "answers": "answers are of all that the study measured, controls included",
    "trace": "a cell is named whole behind --trace: METRIC,axis=value,axis=value",
    "contrasts": "each difference has a line: --metric, --where and the place narrow them",
}
"""What is printed in place of the table -> what to do with an option that does not change it."""
_FLAGS = {"metrics": "metric", "contrasts": "contrast"}
"""Option -> its name on the command line, where that is another one."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the studies and how they are shown; by default as their own compare stage says."""
    parser.add_argument(
        "studies",
        nargs="+",
        metavar="STUDY",
        help="study files, or names known in the root; ROOT::STUDY is one under another root; "
        "of several studies the axis `study` says which",
    )
    parser.add_argument(
        "--rows",
        type=_split,
        action="extend",
        metavar="AXES",
        help="axes down the side, comma-separated",
    )
    parser.add_argument(
        "--columns",
        type=_split,
        action="extend",
        metavar="AXES",
        help="axes across, comma-separated",
    )
    parser.add_argument(
        "--metric",
        dest="metrics",
        type=_split,
        action="extend",
        metavar="NAMES",
        help="metrics, comma-separated",
    )
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        type=_axis_and_values,
        metavar="AXIS=VALUE,…",
        help="only these values, in tables and with --long",
    )
    parser.add_argument(
        "--at",
        action="append",
        default=[],
        type=_dose,
        metavar="DOSE=VALUE",
        help="read every number at one dose of training instead of at snapshots: kl=0.5, margin=1, "
        "margin_per_token=0.1, toxic_mass_fall=0.3; may be given again",
    )
    parser.add_argument("--site", help="site shown, such as resid_mid")
    parser.add_argument("--position", help="position policy shown, such as last")
    parser.add_argument("--depth", type=float, help="relative depth shown, 0 to 1")
    parser.add_argument(
        "--format", default="terminal", help="terminal, csv, markdown, latex, parquet or json"
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--long", action="store_true", help="the long table of all measurements (csv or parquet)"
    )
    parser.add_argument(
        "--controls",
        action="store_true",
        default=None,
        help="interval, noise floor and null bands beside each value",
    )
    parser.add_argument(
        "--references",
        type=_split,
        action="extend",
        metavar="NAMES",
        help="published numbers shown below, such as lee2024",
    )
    instead.add_argument(
        "--contrast",
        dest="contrasts",
        action="append",
        metavar="AXIS=FIRST-SECOND",
        help="differences of two values of an axis, such as objective=dpo-sft, with p values",
    )
    instead.add_argument(
        "--trace",
        metavar="METRIC,AXIS=VALUE,…",
        help="where the number of one cell comes from: as measured, and every artifact behind it",
    )
    instead.add_argument(
        "--answers",
        action="store_true",
        help="what the study says about its questions (terminal, markdown or json)",
    )


def run(options: argparse.Namespace) -> int:
    """Gather what the studies measured and print it; missing cells say why.

    Args:
        options: the words of the command line.

    Returns:
        0.

    Raises:
        UserError: a study has nothing to compare, or an option is wrong.
    """
    from orchestrator.views.several_studies import gather_studies

    form = _form(options)
    _refuse_unheeded(options)
    gathered = gather_studies(chosen_root(options), options.studies, _view_options(options))
    for text in gathered.notes:
        note(f"note: {text}")
    if options.trace is not None:
        from orchestrator.views.trace_output import show_trace

        show_trace(gathered, options.trace, form)
        return 0
    data = _render(options, gathered, form)
    if form == "parquet" and answers().isatty():
        raise UserError(
            "parquet is binary and cannot be printed on a terminal",
            where="--format",
            hint="redirect it: > FILE",
        )
    answers().buffer.write(data)
    return 0


def _form(options: argparse.Namespace) -> str:
    """Return the format asked for. Raises UserError where two are."""
    form = str(options.format)
    if options.json and form not in ("terminal", "json"):
        raise UserError(
            "--json asks for another format", where=f"--format {form}", hint="leave one of them out"
        )
    return "json" if options.json else form


def _refuse_unheeded(options: argparse.Namespace) -> None:
    """Refuse an option that would change nothing of what is printed. Raises UserError."""
    for printed, heeded in _HEEDED.items():
        if not getattr(options, printed):
            continue
        for name in ("where", "at", *_VIEW_OPTIONS):
            given = getattr(options, name) not in (None, [])
            if given and name not in (printed, *heeded):
                raise UserError(
                    f"changes nothing of what --{_FLAGS.get(printed, printed)} prints",
                    where=f"--{_FLAGS.get(name, name)}",
                    hint=f"leave it out; {_INSTEAD[printed]}",
                )


def _render(options: argparse.Namespace, gathered: "Gathered", form: str) -> bytes:
    comparison, view = gathered.comparison, gathered.view
    if options.long:
        from jobs.comparing.comparison import long_table

        kept = comparison.where(_where(options))
        return long_table(kept, "csv" if form == "terminal" else form)
    if options.answers:
        from jobs.comparing.answers import answers as answers_of
        from jobs.comparing.answers import rendered_answers

        return rendered_answers(answers_of(comparison, view, places=True), form)
    from jobs.comparing.comparison import rendered
    from orchestrator.views.text_output import console_width

    table = (
        comparison.contrasts(view, gathered.own) if options.contrasts else comparison.table(view)
    )
    return rendered(table, form, console_width() if answers().isatty() else None)


def _view_options(options: argparse.Namespace) -> dict[str, object]:
    chosen = {name: getattr(options, name) for name in _VIEW_OPTIONS}
    doses: dict[str, list[float]] = {}
    for name, value in options.at:
        doses.setdefault(name, []).append(value)
    return {**chosen, "where": _where(options) or None, "at": doses or None}


def _where(options: argparse.Namespace) -> dict[str, list[str]]:
    where: dict[str, list[str]] = {}
    for axis, values in options.where:
        where.setdefault(axis, []).extend(values)
    return where


def _dose(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        if math.isfinite(number := float(value)):
            return name, number
        raise ValueError(value)
    except ValueError as fault:
        raise UserError(
            f"{text!r} is not DOSE=VALUE",
            where="--at",
            hint="such as --at kl=0.5; give it again for another dose: --at kl=0.1 --at kl=0.5",
        ) from fault


def _axis_and_values(text: str) -> tuple[str, list[str]]:
    axis, equals, values = text.partition("=")
    if not equals or not values:
        raise UserError(f"{text!r} is not AXIS=VALUE,VALUE", where="--where")
    return axis, values.split(",")


def _split(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise argparse.ArgumentTypeError(f"{text!r} names nothing: leave the option out")
    return parts
