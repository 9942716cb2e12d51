"""How does this very code reach the processes that run calls, and what must be there for it?"""
