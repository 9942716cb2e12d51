"""Where do bytes lie on a file system of this machine, and how are they written whole?"""
