"""How is a plan run? One launch: its loop and policy, submission to workers, what came back."""
