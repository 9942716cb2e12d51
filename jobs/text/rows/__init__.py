"""What rows does a data file hold? Unpacking, text, JSON, delimited text, Arrow and Parquet."""
