import dot2gpt  # noqa: F401 (before jsonschema, which then loads fast)
