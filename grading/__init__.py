"""The autograder: judges what strangers hand in, in a sandbox, many at a time."""

import dot2gpt.quick_start  # noqa: F401
