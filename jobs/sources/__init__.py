"""Is what a study names a file at all? Pipes, pointers, web pages and links in place of sources."""
