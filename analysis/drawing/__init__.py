"""How is a measurement drawn? The figures, and the style and parts that they share."""
