"""What stands in, in a rehearsal, for models and data that are heavy, or elsewhere."""
