"""From measurements to tables, figures and the summary in W&B."""
