import sys
from functools import cache

sys.setrecursionlimit(2000)


@cache
def edit(a, b):
    if not a or not b:
        return len(a) + len(b)
    return min(edit(a[1:], b) + 1, edit(a, b[1:]) + 1, edit(a[1:], b[1:]) + (a[0] != b[0]))


def bfs(graph, start, goal):
    queue, seen = [[start]], {start}
    while queue:
        path = queue.pop(0)
        if path[-1] == goal:
            return path
        for node in graph.get(path[-1], ()):
            if node not in seen:
                seen.add(node)
                queue.append(path + [node])
    else:
        return None


def primes(n):
    sieve = bytearray([1]) * (n + 1)
    sieve[:2] = b"\0\0"
    for i in range(2, int(n**0.5) + 1):
        if sieve[i]:
            sieve[i * i :: i] = bytes(len(range(i * i, n + 1, i)))
    return [i for i, p in enumerate(sieve) if p]


result = {"edit": edit("kitten", "sitting"), "path": bfs({"a": ["b", "c"], "b": ["d"], "c": ["d"]}, "a", "d"), "primes": primes(30)}
