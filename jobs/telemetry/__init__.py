"""What attempts used over time, kept as Parquet: samples of each rank, a line per attempt."""
