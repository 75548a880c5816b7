"""`agent demo`."""


def demo() -> int:
    """placeholder"""
    return 0
