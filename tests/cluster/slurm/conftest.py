"""Commands of SLURM that answer what was recorded."""

from tests.slurm_commands import answering

__all__ = ["answering"]
