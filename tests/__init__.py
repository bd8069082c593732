import dot2gpt.quick_start  # noqa: F401
