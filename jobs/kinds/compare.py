"""Kind `compare`: gathers what other jobs measured into tables and figures across sizes."""

from collections.abc import Iterator, Mapping, Sequence

from analysis.answering.answer import ANSWERS
from analysis.contrasts.contrast import resolve_contrast, split_contrast
from analysis.metric import METRICS
from analysis.tables.reference import REFERENCES
from analysis.tables.writer import WRITERS
from analysis.weight_metric import WEIGHT_METRICS
from jobs.comparing.measuring_kinds import measuring_kinds
from jobs.comparing.view import View
from jobs.kind import Kind, Upstream
from jobs.provenance import Results
from jobs.worker.work import Work


class Compare(Kind[View]):
    """Lays out what other jobs measured."""

    VERSION = 6
    INPUTS = {}
    Params = View
    GATHERS = True
    LEAVES = Results.VIEWS
    USES_TORCH = False

    def entries(self, params: View) -> Iterator[tuple[str, str]]:
        """Yield the metrics whose values are shown, and the published numbers."""
        for value in params.metrics or ():
            for door in (METRICS, WEIGHT_METRICS):
                names = door.names()
                yield from (
                    (door.package, name)
                    for name in names
                    if value == name or value.startswith(f"{name}_")
                )
        yield from ((REFERENCES.package, name) for name in params.references)

    def packages(self, params: View) -> frozenset[str]:
        """Return the table formats and the answers, and the figures where they are drawn."""
        figures = {"analysis.drawing.figures"} if params.figures else set()
        return frozenset({WRITERS.package, ANSWERS.package, *figures})

    def gathered_kinds(self) -> frozenset[str]:
        """Return every kind that measures."""
        return frozenset(measuring_kinds())

    def axes_named(self, params: View) -> Mapping[str, Sequence[str]]:
        """Return the axes that lay the table out; `seeds` may name one that a study lacks."""
        contrasts = [split_contrast(text)[0] for text in params.contrasts]
        named = {"rows": params.rows, "columns": params.columns or (), "contrasts": contrasts}
        return {param: [axis for axis in axes if axis != "model"] for param, axes in named.items()}

    def check_values(self, params: View, labels: Mapping[str, Sequence[str]]) -> None:
        """Check that the values which a contrast holds against each other exist."""
        if params.contrasts:
            from analysis.contrasts.cells import blank_label
        for text in params.contrasts:
            axis, _ = split_contrast(text)
            if axis in labels:
                resolve_contrast(text, {axis: [*labels[axis], blank_label(axis)]})

    def notes(self, params: View, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say which doses nothing measures. Raises UserError where nothing is of a snapshot."""
        from jobs.comparing.planned_doses import notes_on_doses

        return notes_on_doses(params, inputs)

    def run(self, work: Work[View]) -> dict[str, object]:
        """Write the long table, the comparison, the scaling table and the figures."""
        from jobs.comparing.gathering import collect
        from jobs.comparing.output_files import write_views
        from jobs.comparing.sources import Source

        sources = [
            Source(
                stage=upstream.stage,
                cell=upstream.cell,
                values=upstream.values,
                artifact=upstream.artifact,
            )
            for group in work.inputs.values()
            for upstream in group
        ]
        work.progress(None, f"reading {len(sources)} measurements")
        comparison = collect(sources, work.params.seeds)
        work.progress(None, "writing tables and figures")
        write_views(comparison, work.params, work.folder)
        return {"num_measurements": len(comparison.gathered), "num_jobs": len(sources)}
