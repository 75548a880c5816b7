import contextlib
import io
from contextlib import contextmanager, redirect_stdout, suppress, ExitStack


class Section:
    def __init__(self, title):
        self.title = title

    def __enter__(self):
        self.lines = []
        return self

    def __exit__(self, kind, error, traceback):
        return kind is KeyError


@contextmanager
def tag(name, out):
    out.append(f"<{name}>")
    try:
        yield out
    finally:
        out.append(f"</{name}>")


out = []
with Section("a") as a, tag("b", out) as b:
    b.append("text")
    raise KeyError("swallowed")
with suppress(ZeroDivisionError):
    1 / 0
buffer = io.StringIO()
with redirect_stdout(buffer):
    print("captured", end="")
with ExitStack() as stack:
    (first, second) = stack.enter_context(contextlib.nullcontext((1, 2)))
result = {"out": out, "captured": buffer.getvalue(), "second": second}
