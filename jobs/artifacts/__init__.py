"""What is a job, and what of it is on disk? job.py makes the key; folder, record.json, claim."""
