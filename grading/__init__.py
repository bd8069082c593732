"""The autograder: judges what strangers hand in, in a sandbox, many at a time."""

import dot2gpt  # noqa: F401 (before jsonschema, which then loads fast)
