counter = 0


def bump(by=1, /, *, times=1):
    global counter
    counter += by * times
    return counter


def make_average():
    total, n = 0.0, 0

    def add(value):
        nonlocal total, n
        total += value
        n += 1
        return total / n

    return add


average = make_average()
for value in df["amount"]:
    last = average(value)
bump(2, times=3)
result = {"average": round(last, 6), "counter": counter}
