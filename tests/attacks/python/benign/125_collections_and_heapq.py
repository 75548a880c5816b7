import heapq
import bisect
from collections import Counter, OrderedDict, ChainMap, defaultdict, deque

by_region = defaultdict(lambda: defaultdict(list))
for row in df.itertuples():
    by_region[row.region][row.channel].append(row.amount)
window = deque(maxlen=3)
averages = []
for v in df["amount"]:
    window.append(v)
    averages.append(sum(window) / len(window))
top = heapq.nlargest(2, df["amount"])
heap = [(-v, i) for i, v in enumerate(df["amount"])]
heapq.heapify(heap)
biggest = heapq.heappop(heap)[0]
words = Counter("the quick the lazy the".split())
words.update(["quick"])
words["the"] -= 1
order = OrderedDict(sorted(words.items()))
order.move_to_end("the", last=False)
result = {"regions": sorted(by_region), "top": top == sorted(df["amount"], reverse=True)[:2], "biggest": -biggest == max(df["amount"]), "order": list(order), "chain": ChainMap({"a": 1}, {"b": 2})["b"], "at": bisect.bisect_left([1, 3, 5], 4)}
