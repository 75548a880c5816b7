def newton(f, df_, x, tol=1e-9):
    steps = 0
    while abs(fx := f(x)) > tol:
        x -= fx / df_(x)
        steps += 1
        if steps > 50:
            break
    else:
        return x, steps
    return None


def collatz(n):
    seen = [n]
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        if n in seen:
            continue
        seen.append(n)
    return seen


root, steps = newton(lambda x: x * x - 2, lambda x: 2 * x, 1.0)
assert abs(root**2 - 2) < 1e-6, "did not converge"
bits = (5 & 3, 5 | 3, 5 ^ 3, ~5, 1 << 4, 256 >> 2, 7 // 2, -7 % 3, 2**-1, +3, not True)
result = {"root": round(root, 6), "steps": steps, "collatz": collatz(6), "bits": bits}
