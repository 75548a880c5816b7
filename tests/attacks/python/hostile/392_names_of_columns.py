# category: forging
# must: column names must not break what reads them
# expect: contained
# control: none
import pandas as pd
result = pd.DataFrame([[1, 2, 3]], columns=['a', 'a', 'b\0\n\x1b[31m'])
