"""What two models predict of the next token: by layer, and how far apart at each output."""
