import re

pattern = re.compile(r"(?P<user>[\w.]+)@(?P<host>[\w.]+)", re.IGNORECASE)
texts = ["Ann <ann.lee@example.org>", "no address", "BOB@EXAMPLE.COM"]
found = [m.groupdict() for t in texts if (m := pattern.search(t))]
masked = [pattern.sub(lambda m: f"***@{m['host']}", t) for t in texts]
words = re.findall(r"\b[a-z]{3,}\b", " ".join(texts).lower())
df["code"] = df["customer"].str.replace(r"[^a-z]", "", regex=True).str.upper()
result = {"found": found, "masked": masked, "words": sorted(set(words)), "codes": sorted(df["code"].unique())}
