import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

table = pa.Table.from_pandas(df, preserve_index=False)
mask = pc.greater(table["amount"], pc.mean(table["amount"]))
big = table.filter(mask)
grouped = table.group_by("region").aggregate([("amount", "sum"), ("order_id", "count")])
sink = pa.BufferOutputStream()
pq.write_table(grouped, sink)
back = pq.read_table(pa.BufferReader(sink.getvalue()))
result = {"big": big.num_rows, "regions": back.num_rows, "names": back.schema.names}
