"""What has the user allowed? Asked of files of the user's own, never of anything under a root."""
