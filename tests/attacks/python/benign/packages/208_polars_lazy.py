import polars as pl

frame = pl.from_pandas(df)
out = (
    frame.lazy()
    .with_columns((pl.col("amount") * (1 - pl.col("discount"))).alias("net"))
    .filter(pl.col("net") > 10)
    .group_by("region")
    .agg(pl.col("net").sum().round(2).alias("total"), pl.len().alias("n"))
    .sort("total", descending=True)
    .collect()
)
result = {"rows": out.height, "columns": out.columns}
