"""Model families, one per file; the file name is the Hugging Face model_type."""
