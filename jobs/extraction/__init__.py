"""How activations are read and kept: taps, paired forwards, the activation store, measuring."""
