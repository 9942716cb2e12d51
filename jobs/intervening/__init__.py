"""What do models say with activations edited? Directions, doses, recovered share."""
