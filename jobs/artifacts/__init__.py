"""What is a job, and what of it is on disk? Identity, key, folder, record, claim, copies."""
