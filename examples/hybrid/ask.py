"""Ask a site over a Task Router: rows, a program with a chart, what there is, what would run; and heed a refusal.

python examples/hybrid/ask.py PROFILE [FOLDER]     # the submitter's folder; where the chart goes, default: here
"""

import sys
from pathlib import Path

from router.client import Client, ClientError, JobRefusedError

TOTALS = """
SELECT c.family_name, c.phone, c.city, sum(o.amount) AS total
FROM customers AS c JOIN orders AS o ON o.customer_id = c.id
GROUP BY c.id, c.family_name, c.phone, c.city
ORDER BY total DESC LIMIT :n
"""
CHART = """
import altair as alt

by = orders.groupby("product_id", as_index=False).amount.sum()
print(f"{len(orders)} orders since {since}")
chart = alt.Chart(by).mark_bar().encode(x="product_id:O", y="amount:Q")
result = by.nlargest(3, "amount")
"""
ORDERS = "SELECT product_id, amount FROM orders WHERE ordered_on >= '2026-01-01'"


def main(profile: Path, folder: Path) -> None:
    """Each job is signed here, runs at the site, and is opened here; the Router in between can do neither."""
    with Client.from_profile(profile) as client:
        catalog = client.catalog("shop").wait(60).value
        print("relations:", ", ".join(relation["name"] for relation in catalog["relations"]))

        would = client.explain(TOTALS.replace(":n", "3"), source="shop").wait(60).value
        print("would run:", would["admitted"])

        rows = client.sql(TOTALS, source="shop", params={"n": 3}).wait(60)
        print(rows.pandas().to_string(index=False))
        print("masked:", {name: rule for name, rule in rows.disclosure["columns"].items() if rule != "keep"})

        job = client.python(
            CHART, inputs={"orders": ORDERS}, variables={"since": 2026}, source="shop", charts=["vega-lite"]
        )
        for step in job.stream():
            print("…", step.state, step.phase or "")
        found = job.wait(60)
        print(found.stdout, end="")
        print("chart:", found.charts[0].save(folder / "orders"))

        heeded(client)


def heeded(client: Client) -> None:
    """A refusal says what is wrong, where, and what to do: what an LLM needs to correct its statement."""
    try:
        client.sql("SELECT content FROM read_text('/etc/passwd')", source="shop").wait(60)
    except JobRefusedError as refusal:
        print(f"refused: {refusal.code}: {refusal.message}")
        print("hint:", refusal.hint)
        for problem in refusal.problems:
            print(f"at line {problem.line}, column {problem.column}: {problem.name}")
    corrected = client.sql("SELECT count(*) AS n FROM customers", source="shop").wait(60)
    print("corrected:", corrected.rows())


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "."))  # noqa: PLR2004 - two arguments
    except IndexError:
        sys.exit(__doc__)
    except ClientError as error:
        sys.exit(f"{error.code}: {error.message} {error.hint}")
