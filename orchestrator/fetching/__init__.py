"""What does a study need of the hub, and is it in the root?"""
