"""What does the child process do that holds an executor's Ray?"""
