"""What a model says: next-token mass, greedy continuations, estimates over groups."""
