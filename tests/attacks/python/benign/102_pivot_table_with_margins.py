import pandas as pd
import numpy as np

pivot = pd.pivot_table(df, index="region", columns="channel", values="amount", aggfunc="sum", fill_value=0, margins=True)
pivot.columns = [str(c) for c in pivot.columns]
pivot.index.name = "region"
result = pivot.reset_index()
