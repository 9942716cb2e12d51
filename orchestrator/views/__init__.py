"""What does a person see? Status, progress, tables, pages, traces; nothing decides by them."""
