"""What is computed of all measurements of a study: tables, figures, answers, W&B summary."""
