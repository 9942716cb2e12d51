"""Running a pair of models with one of them changed: hooks, what they are made of, shares."""
