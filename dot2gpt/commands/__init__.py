"""What `python -m dot2gpt` does, a file a command; nothing of the lessons reads it."""
