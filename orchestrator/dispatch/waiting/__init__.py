"""What does a launch wait for while its surroundings fail, and when does it look again?"""
