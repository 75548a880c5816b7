import functools
import time
from functools import lru_cache, partial, reduce, wraps


def timed(label=None):
    def decorate(func):
        @wraps(func)
        def wrapper(*args, **kwargs):
            start = time.perf_counter()
            try:
                return func(*args, **kwargs)
            finally:
                print(f"{label or func.__name__}: {time.perf_counter() - start:.3f}s")

        return wrapper

    return decorate


@timed(label="sum")
def total(frame, column="amount"):
    """Sum of a column."""
    return float(frame[column].sum())


@lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


half = partial(total, column="discount")
result = {"total": total(df), "half": half(df), "fib": fib(30), "product": reduce(lambda a, b: a * b, range(1, 6)), "name": total.__name__, "doc": total.__doc__}
