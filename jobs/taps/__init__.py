"""What does a model compute inside? Named sites read while one model, or a pair, runs."""
