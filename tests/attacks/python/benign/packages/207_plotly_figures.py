import plotly.express as px
import plotly.graph_objects as go
import plotly.io as pio
from plotly.subplots import make_subplots

pio.templates.default = "plotly_white"
fig = px.bar(df.groupby("region", as_index=False)["amount"].sum(), x="region", y="amount", title="Revenue")
fig.update_layout(xaxis_title="Region", yaxis_title="EUR", showlegend=False)
fig.update_traces(hovertemplate="%{x}: %{y:.2f}")
grid = make_subplots(rows=1, cols=2, subplot_titles=("a", "b"))
grid.add_trace(go.Scatter(x=df["ordered_at"], y=df["amount"], mode="markers", name="orders"), row=1, col=1)
grid.add_trace(go.Histogram(x=df["amount"]), row=1, col=2)
result = {"traces": len(grid.data), "title": fig.layout.title.text}
