"""A small SLURM of the tests' own: a login host with a controller, and nodes with a slurmd each."""
