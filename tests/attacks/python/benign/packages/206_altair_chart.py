import altair as alt

chart = (
    alt.Chart(df)
    .mark_bar()
    .encode(x=alt.X("region:N", sort="-y"), y=alt.Y("sum(amount):Q", title="Revenue"), color="channel", tooltip=["region", "sum(amount)"])
    .properties(width=300, height=200, title="Revenue by region")
)
line = alt.Chart(df).mark_line(point=True).encode(x="yearmonth(ordered_at):T", y="mean(amount)")
both = (chart | line).resolve_scale(color="independent")
result = {"kind": both.to_dict()["hconcat"][0]["mark"]["type"], "type": type(chart).__name__}
