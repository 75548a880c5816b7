try:
    import ujson as json
except ImportError:
    import json

try:
    from tqdm import tqdm
except ImportError:
    def tqdm(iterable, **kwargs):
        return iterable

try:
    import not_installed_anywhere as extra
except Exception:
    extra = None

total = 0
for value in tqdm(df["amount"], desc="rows"):
    total += value
result = json.loads(json.dumps({"total": round(total, 2), "extra": extra}))
