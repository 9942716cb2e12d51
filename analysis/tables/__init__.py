"""How do measurements become a table? Selection, layout, seeds, controls, fits, writers."""
