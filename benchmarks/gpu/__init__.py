"""What only a GPU can show: the parts of `make gpu-check`, and what runs and reports them."""
