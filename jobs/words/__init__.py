"""How likely is it that a text goes on with one of these words, however they are tokenised?"""
