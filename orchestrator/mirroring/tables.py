"""The tables of a study as they stand while it runs, flat as W&B wants them."""

from collections.abc import Mapping

from cluster.storage import Storage
from jobs.mirror.summary import TableRows
from orchestrator.plan.decided_plan import decide_plan
from orchestrator.plan.study_folder import open_study
from orchestrator.views.study_views import comparisons, sources


def shown_tables(root: Storage, study: str) -> Mapping[str, TableRows]:
    """Return title -> table of each comparison of which something was measured.

    Args:
        root: the output root.
        study: name of the study.
    """
    from jobs.comparing.equal_dose import at_doses
    from jobs.comparing.gathering import collect
    from jobs.comparing.view import View
    from jobs.comparing.wandb_summary import flat_table

    decided = decide_plan(root, open_study(root, study))
    decided.plan.own.bring()
    tables = {}
    for job in comparisons(decided):
        gathered = sources(root, decided, job)
        if any(source.artifact for source in gathered):
            view = job.params_as(View)
            comparison = at_doses(collect(gathered, view.seeds), view)
            tables[view.title] = flat_table(comparison.table(view))
    return tables
