"""How do the ranks of one call start, meet and end together?"""
