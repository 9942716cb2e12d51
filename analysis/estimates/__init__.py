"""How sure is a number? Intervals over prompt groups, null bands, bias taken off few rows."""
