from concurrent.futures import ThreadPoolExecutor, as_completed
import threading
import queue

lock = threading.Lock()
totals = {}


def total(region):
    value = float(df.loc[df["region"] == region, "amount"].sum())
    with lock:
        totals[region] = value
    return region, value


regions = sorted(df["region"].unique())
with ThreadPoolExecutor(max_workers=4) as pool:
    mapped = dict(pool.map(total, regions))
    futures = {pool.submit(total, r): r for r in regions}
    done = {futures[f] for f in as_completed(futures)}
waiting = queue.Queue()
worker = threading.Thread(target=lambda: waiting.put(sum(totals.values())))
worker.start()
worker.join()
result = {"same": mapped == totals, "done": sorted(done), "sum": round(waiting.get(), 2)}
