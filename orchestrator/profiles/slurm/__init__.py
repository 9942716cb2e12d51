"""How does a study become allocations of SLURM: fields, scripts, submission, progress?"""
