"""What does a study say to its questions? Evidence, findings, and one file per answer."""
