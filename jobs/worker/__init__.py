"""What happens in the process that does one job? Entry point, ranks, log, chunks, W&B."""
