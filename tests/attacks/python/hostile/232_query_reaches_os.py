# category: pandas-io
# must: must not run a program from a query expression
# expect: contained
# control: run
import pandas as pd
df.query('@pd.io.common.os.system("cat @@SECRET_FILE@@ > @@OUT_DIR@@/pwned_query.txt") == 0', engine='python')
result = ''
