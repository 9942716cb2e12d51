"""Where: machines that run things, and storage that keeps bytes."""
