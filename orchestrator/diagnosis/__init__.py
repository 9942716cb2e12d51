"""What was a failure? Evidence of it, signatures of known ones, sentences about it."""
