# category: network
# must: must not fetch over HTTP with pandas
# expect: contained
# control: run
import pandas as pd
result = str(pd.read_csv('http://127.0.0.1:@@TCP_PORT@@/leak'))
