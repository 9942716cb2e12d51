"""What did the user write? Reads and checks study files; knows no root, runs nothing."""
