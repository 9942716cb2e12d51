"""What is shown or kept of a study? Status, progress, printed tables, its page, traces."""
