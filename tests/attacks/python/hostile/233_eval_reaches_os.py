# category: pandas-io
# must: must not run a program from an eval expression
# expect: contained
# control: run
import pandas as pd
pd.eval('@pd.io.common.os.system("cp @@SECRET_FILE@@ @@OUT_DIR@@/pwned_eval.txt")', engine='python', parser='pandas', local_dict={'pd': pd}) if False else df.eval('z = @pd.io.common.os.system("cp @@SECRET_FILE@@ @@OUT_DIR@@/pwned_eval.txt")')
result = ''
