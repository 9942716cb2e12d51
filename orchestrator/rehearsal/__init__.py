"""Would a study run whole? Answered by running all of it small, before a GPU is held."""
