"""The mirror in W&B: one run a job, one of the study while it runs, one that sums it up."""
