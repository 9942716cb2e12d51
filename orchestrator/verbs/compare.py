"""Verb `compare`: cross-scale tables of one or several studies, in any format."""

import argparse
import sys
from typing import Any

from cluster.errors import UserError
from orchestrator.verb import chosen_root

HELP = "print cross-scale tables: rows, columns, metrics and format as you like"


def arguments(parser: argparse.ArgumentParser) -> None:
    """STUDIES and how they are shown; what is not given is as the study's own compare stage."""
    parser.add_argument(
        "studies", nargs="+", metavar="STUDY", help="study files, or names known in the root"
    )
    parser.add_argument("--rows", metavar="AXES", help="axes down the side, comma-separated")
    parser.add_argument("--columns", metavar="AXES", help="axes across, comma-separated")
    parser.add_argument("--metric", metavar="NAMES", help="metrics, comma-separated")
    parser.add_argument(
        "--where", action="append", default=[], metavar="AXIS=VALUE,…", help="only these values"
    )
    parser.add_argument("--site", help="site shown, such as resid_mid")
    parser.add_argument("--position", help="position policy shown, such as last")
    parser.add_argument("--depth", type=float, help="relative depth shown, 0 to 1")
    parser.add_argument(
        "--format", default="terminal", help="terminal, csv, markdown, latex, parquet or json"
    )
    parser.add_argument(
        "--long", action="store_true", help="the long table of all measurements (csv or parquet)"
    )
    parser.add_argument(
        "--answers",
        action="store_true",
        help="what the study says about its questions (terminal, markdown or json)",
    )


def run(options: argparse.Namespace) -> int:
    """Gather what the studies measured and print it; missing cells say why."""
    from jobs.comparing.comparison import rendered
    from jobs.comparing.view import View

    view, comparison = _gathered(options, View)
    form = "json" if options.json else options.format
    if options.long:
        from jobs.comparing.comparison import long_table

        data = long_table(comparison, "csv" if form == "terminal" else form)
    elif options.answers:
        from jobs.comparing.answers import answers, rendered_answers

        data = rendered_answers(answers(comparison, view), form)
    else:
        data = rendered(comparison.table(view), form)
    if form == "parquet" and sys.stdout.isatty():
        raise UserError(
            "parquet is not for a terminal", where="--format", hint="redirect it: > FILE"
        )
    sys.stdout.buffer.write(data)
    return 0


def _gathered(options: argparse.Namespace, view_type: Any) -> tuple[Any, Any]:
    from dataclasses import replace

    from pydantic import ValidationError

    from jobs.comparing.sources import collect
    from orchestrator.outlook import find_study, look
    from orchestrator.views import comparisons, sources, view_params

    root = chosen_root(options)
    found, first = [], None
    for text in options.studies:
        study = find_study(root, text)
        outlook = look(root, study)
        jobs = comparisons(outlook)
        if not jobs:
            raise UserError(f"the study {study.name!r} has no stage of kind compare", where=text)
        first = first or jobs[0]
        for job in jobs:
            for source in sources(root, outlook, job):
                named = {**source.cell, "study": study.name} if options.studies[1:] else source.cell
                found.append(replace(source, cell=named))
    assert first is not None
    unique = {(s.stage, tuple(s.cell.items())): s for s in found}
    try:
        view = view_type(**view_params(first, _chosen(options)))
    except ValidationError as fault:
        wrong = fault.errors()[0]
        where = f"--{'-'.join(str(part) for part in wrong['loc'])}"
        raise UserError(str(wrong["msg"]), where=where) from fault
    return view, collect(list(unique.values()))


def _chosen(options: argparse.Namespace) -> dict[str, Any]:
    where = {}
    for text in options.where:
        axis, equals, values = text.partition("=")
        if not equals or not values:
            raise UserError(f"{text!r} is not AXIS=VALUE,VALUE", where="--where")
        where[axis] = values.split(",")
    return {
        "rows": _listed(options.rows),
        "columns": _listed(options.columns),
        "metrics": _listed(options.metric),
        "where": where or None,
        "site": options.site,
        "position": options.position,
        "depth": options.depth,
    }


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]
