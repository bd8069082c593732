"""The textbook of the course: the language reference that every CPython carries."""

from functools import cache


@cache
def textbook():
    """The topics of Python's own `help()`, one after the other.

    Returns a string of about 465,000 characters of English with code; it differs
    between Python versions. Source: `pydoc_data.topics` of the standard library.
    """
    from pydoc_data.topics import topics

    return "\n\n".join(topics.values())
