"""How does a program go on without whoever started it: a process of its own, or a job of a Ray?"""
