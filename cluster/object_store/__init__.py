"""Where do bytes lie behind a URL, and what do its faults mean?"""
