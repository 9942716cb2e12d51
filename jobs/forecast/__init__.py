"""What a job will take of a GPU, worked out before it runs: its memory by part, and its hours."""
