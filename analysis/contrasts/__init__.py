"""Do two numbers of a study differ? Paired differences, and what many of them at once allow."""
