"""How is a plan run? One launch: its loop, which job starts next, submission, what came back."""
