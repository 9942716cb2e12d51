"""A study of two hundred jobs that meets a hundred faults, and must come out as without them."""
