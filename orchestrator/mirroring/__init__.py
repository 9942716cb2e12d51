"""The study in W&B: a run that follows it while it runs, and what of its runs is to be sent."""
