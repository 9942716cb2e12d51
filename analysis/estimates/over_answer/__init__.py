"""Numbers of how a quantity changes from token to token of an answer, one a file."""
