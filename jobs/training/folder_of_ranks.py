"""The model that ranks train or score, as one folder on each machine, also where it has no weights.

A snapshot is put together where it is opened. Eight ranks of a machine would write eight times its
bytes, and hold as many copies in host memory meanwhile: one of them does it for all.
"""

from __future__ import annotations

from pathlib import Path

from jobs.models.opened_model import is_put_together, lend_folder, model_folder
from jobs.worker import ranks
from jobs.worker.work import Work


def folder_of_ranks(work: Work) -> Path:
    """Return the checkpoint folder of the input `model`; all ranks call it.

    It stays as long as the first rank on this machine, which all others go with.
    """
    model = work.input("model")
    if ranks.num_ranks() == 1 or not is_put_together(model):
        return model_folder(model)
    reader = ranks.rank() - ranks.local_rank()
    mine = str(model_folder(model)) if ranks.rank() == reader else ""
    folders = ranks.gathered(mine, may_take_long=True)
    if ranks.rank() != reader:
        lend_folder(model, Path(folders[reader]))
    return model_folder(model)
