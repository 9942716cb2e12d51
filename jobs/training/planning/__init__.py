"""What a training or scoring job will take of which machines, worked out before it runs."""
