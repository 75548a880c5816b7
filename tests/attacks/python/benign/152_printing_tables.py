print(df.head().to_string())
print("-" * 40)
for region, part in df.groupby("region"):
    print(f"{region:<8} {len(part):>4} {part['amount'].mean():>10.2f}")
print(*[1, 2, 3], sep=", ")
print()
from pprint import pprint
pprint({"a": [1, 2], "b": {"c": 3}}, width=20)
result = "printed"
