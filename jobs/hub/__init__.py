"""The Hugging Face hub: asked, fetched from into a root, and left alone where that was done."""
