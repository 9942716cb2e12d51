"""Prints the measurements of a table cell, and the chain of artifacts that each comes from."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cluster.errors import unknown_name
from cluster.storage import Storage
from orchestrator.console import answers, say_json
from orchestrator.views.several_studies import Gathered

if TYPE_CHECKING:
    from rich.tree import Tree

    from jobs.comparing.tracing import Trace, Tracer

_FORMATS = ("terminal", "json")
_MOST_FILES = 8
_WIDEST = 10_000


def show_trace(gathered: Gathered, text: str, form: str = "terminal") -> None:
    """Print the measurements of the cell that the text names, and where each comes from.

    Raises:
        UserError: the cell or the format does not exist.
    """
    from jobs.comparing.named_cell import rows_of_cell
    from jobs.comparing.tracing import Tracer

    if form not in _FORMATS:
        raise unknown_name("format of a trace", form, _FORMATS, where="--format")
    rows = rows_of_cell(gathered.comparison, gathered.view, text)
    tracers = [Tracer(root) for root in gathered.roots]
    chains = {
        key: _trace(tracers, gathered.roots, key)
        for key in dict.fromkeys(key for row in rows for key in str(row["key"] or "").split())
    }
    if form == "json":
        say_json(
            {
                "measurements": rows,
                "traces": {
                    key: {"root": root.url, **chain.as_json()}
                    for key, (root, chain) in chains.items()
                },
            }
        )
    else:
        _print(rows, chains)


def _trace(
    tracers: "Sequence[Tracer]", roots: Sequence[Storage], key: str
) -> "tuple[Storage, Trace]":
    """Trace a job in the first root that holds it."""
    for tracer, root in zip(tracers, roots, strict=True):
        if tracer.knows(key):
            return root, tracer.trace(key)
    return roots[0], tracers[0].trace(key)


def _print(
    rows: Sequence[Mapping[str, Any]], chains: "Mapping[str, tuple[Storage, Trace]]"
) -> None:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    from jobs.comparing.named_cell import describe_row

    # As wide as its lines: a path that is cut or broken cannot be opened.
    console = Console(file=answers(), highlight=False, width=_WIDEST, soft_wrap=True)
    for row in rows:
        console.print(Text("\n".join(describe_row(row))))
    for root, chain in chains.values():
        tree = Tree(Text(_line(chain)))
        _grow(tree, chain, root, set())
        console.print()
        console.print(tree)


def _line(chain: "Trace") -> str:
    role = f"{chain.role}: " if chain.role else ""
    commit = f"  commit {chain.commit[:12]}" if chain.commit else ""
    return f"{role}{chain.label}  ({chain.kind} {chain.key[:16]}){commit}"


def _grow(tree: "Tree", chain: "Trace", root: Storage, printed: set[str]) -> None:
    from rich.text import Text

    printed.add(chain.key)
    if chain.missing:
        tree.add(Text(f"cannot be read: {chain.missing}"))
    else:
        files = tree.add(Text(f"{root.url}/{chain.folder}/"))
        for name, size, digest in chain.files[:_MOST_FILES]:
            files.add(Text(f"{name}  {size:,} bytes  xxh3 {digest}"))
        for name, digest in chain.own_code.items():
            tree.add(Text(f"own code {name}  {digest}"))
        if len(chain.files) > _MOST_FILES:
            files.add(Text(f"... and {len(chain.files) - _MOST_FILES} more"))
    for upstream in chain.inputs:
        if upstream.key in printed:
            tree.add(Text(f"{_line(upstream)}  as above"))
        else:
            _grow(tree.add(Text(_line(upstream))), upstream, root, printed)
