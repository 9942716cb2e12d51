"""How does a launch go on without its terminal, and how is it followed?"""
