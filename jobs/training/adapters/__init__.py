"""Training an adapter beside a frozen base, and the base with its adapter off as the reference."""
