"""How is work handed to SLURM, and what does SLURM say of it?"""
