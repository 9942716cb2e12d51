"""Kind `compare`: gathers what other jobs measured into tables and figures across sizes."""

from collections.abc import Mapping, Sequence

from jobs.comparing.measuring_kinds import measuring_kinds
from jobs.comparing.view import View
from jobs.kind import Kind
from jobs.provenance import Results
from jobs.worker.work import Work


class Compare(Kind[View]):
    """Lays out what other jobs measured."""

    VERSION = 2
    INPUTS = {}
    Params = View
    GATHERS = True
    LEAVES = Results.VIEWS
    USES_TORCH = False

    def gathered_kinds(self) -> frozenset[str]:
        """Return every kind that measures."""
        return frozenset(measuring_kinds())

    def axes_named(self, params: View) -> Mapping[str, Sequence[str]]:
        """Return the axes that lay the table out; `seeds` may name one that a study lacks."""
        named = {"rows": params.rows, "columns": params.columns or ()}
        return {param: [axis for axis in axes if axis != "model"] for param, axes in named.items()}

    def run(self, work: Work[View]) -> dict[str, object]:
        """Write the long table, the comparison, the scaling table and the figures."""
        from jobs.comparing.gathering import Source, collect
        from jobs.comparing.output_files import write_views

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
        comparison = collect(sources)
        work.progress(None, "writing tables and figures")
        write_views(comparison, work.params, work.folder)
        return {"num_measurements": len(comparison.gathered), "num_jobs": len(sources)}
