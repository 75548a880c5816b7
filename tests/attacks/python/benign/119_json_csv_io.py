import csv
import io
import json
import os
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
path = folder / "orders.csv"
with open(path, "w", newline="") as handle:
    writer = csv.DictWriter(handle, fieldnames=["region", "amount"])
    writer.writeheader()
    writer.writerows(df[["region", "amount"]].to_dict("records"))
with path.open() as handle:
    total = sum(float(row["amount"]) for row in csv.DictReader(handle))
(folder / "meta.json").write_text(json.dumps({"n": len(df)}, indent=2, default=str))
meta = json.loads((folder / "meta.json").read_text())
buffer = io.BytesIO(b"a,b\n1,2\n")
names = sorted(os.listdir(folder))
size = os.path.getsize(os.path.join(str(folder), "orders.csv"))
for name in names:
    os.remove(folder / name)
folder.rmdir()
result = {"total": round(total, 2), "meta": meta, "names": names, "size": size > 0, "buffer": buffer.read(3).decode()}
