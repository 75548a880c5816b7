# category: pandas-io
# must: must not read a file outside as a data set
# expect: contained
# control: run
import pyarrow.dataset as ds
result = str(ds.dataset('@@SECRET_FILE@@', format='csv').schema.names)
