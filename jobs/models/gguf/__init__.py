"""Models that lie in a `.gguf` file, and how they become an ordinary checkpoint."""
