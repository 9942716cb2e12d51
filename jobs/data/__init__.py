"""Data from outside: reading, checking, splitting, what was dropped, what is toxic."""
