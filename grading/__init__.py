"""The autograder: judges what strangers hand in, in a sandbox, many at a time."""
