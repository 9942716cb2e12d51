"""What a training run will take of which machines, in closed form, and its ladder of layouts."""
