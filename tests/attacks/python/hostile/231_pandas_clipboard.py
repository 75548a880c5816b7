# category: pandas-io
# must: must not start a clipboard program
# expect: contained
# control: none
import pandas as pd
pd.DataFrame({'x': [1]}).to_clipboard()
result = 'ESCAPED clipboard'
