"""What would run, and why? From a study and a root to jobs, keys, decisions and layouts."""
