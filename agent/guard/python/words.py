"""Long lists of names, as they read best."""


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())
