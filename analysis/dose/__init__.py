"""What would a number be, had every model been trained equally hard?"""
