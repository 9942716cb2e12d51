"""Training objectives, one per file; a hyphen in a study is an underscore here."""
