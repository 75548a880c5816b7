import sqlite3
import pandas as pd

con = sqlite3.connect(":memory:")
df.drop(columns=["ordered_at"]).to_sql("orders", con, index=False)
out = pd.read_sql_query("select region, count(*) as n from orders group by region order by region", con)
con.close()
result = out
