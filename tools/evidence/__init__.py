"""How sure the book is: its claims measured again, under other seeds and budgets."""

from tools.evidence.claims import claim, lesson

__all__ = ["claim", "lesson"]
