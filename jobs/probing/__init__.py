"""A linear probe: the direction of toxic text, and the value vectors that lie along it."""
