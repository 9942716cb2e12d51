"""What does this machine have, and what of its environment may a process see?"""
