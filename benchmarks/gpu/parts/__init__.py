"""One part of the GPU check per file."""
