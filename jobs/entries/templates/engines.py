"""Engine `my-entry`: data parallelism as `ddp` does it, with larger buckets of gradients.

The contract is jobs/training/engine.py. An engine never changes the experiment; one of your own is
in the keys of the runs that name it all the same, because nobody else has checked it.
"""

from collections.abc import Mapping

from jobs.training.engines.ddp import Ddp
from jobs.training.layout import Layout
from jobs.training.recipe import Recipe


class MyEntry(Ddp):
    """PyTorch's DistributedDataParallel, 100 MB of gradients at a time."""

    def arguments(self, layout: Layout, recipe: Recipe) -> Mapping[str, object]:
        """Return arguments of a Hugging Face Trainer beyond the recipe's."""
        return {**super().arguments(layout, recipe), "ddp_bucket_cap_mb": 100}
