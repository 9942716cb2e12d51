"""What did earlier launches of this study leave running, and how is it ended?"""
