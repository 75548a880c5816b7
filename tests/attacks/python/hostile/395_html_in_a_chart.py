# category: charts
# must: a chart must not carry a script or a link out of the site
# expect: contained
# control: none
import altair as alt
result = alt.Chart('http://127.0.0.1:@@TCP_PORT@@/leak').mark_bar().encode(x='a:Q', href='u:N')
