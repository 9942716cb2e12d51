"""Who is told of a launch, of what, and by which way?"""
