"""What is secret, and how is it kept out of everything that is written?"""
