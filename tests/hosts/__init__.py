"""Studies over several hosts of one machine that fail, as hosts and networks do."""
