import duckdb

con = duckdb.connect(":memory:")
con.register("orders", df)
con.execute("create table totals as select region, sum(amount) as total from orders group by region")
top = con.execute("select * from totals where total > ? order by total desc limit 2", [10]).fetchall()


def inner():
    local = df[df["channel"] == "web"]
    return int(duckdb.sql("select count(*) as n from local").df()["n"][0])


result = {"top": [list(r) for r in top], "web": inner(), "df": duckdb.query("select max(amount) m from df").df()["m"][0]}
