"""Arrow batches -> the same values in memory of their own: what is not to be seen is not there either.

A cut batch still holds the rows behind the cut, and the writer of Arrow streams sends up to 63 bytes of them as
padding. Beneath a null lies whatever an engine left there, at worst another column's value or memory that it had used
before. A dictionary holds words that no row uses.
"""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def exact(batch: Any) -> Any:
    """A `pyarrow.RecordBatch` of equal values that holds nothing else."""
    if not batch.num_columns:  # only a number of rows, which would get lost
        return batch
    return pa.RecordBatch.from_arrays([exact_array(column) for column in batch.columns], schema=batch.schema)


def exact_array(array: Any) -> Any:
    """The same of one array, of any type."""
    make = next((make for applies, make in _MADE if applies(array.type)), _taken)
    return make(array)


def _taken(array: Any) -> Any:
    """Of a type without children: taking zeroes what lies beneath nulls, and copies just what is asked for."""
    return array.take(pa.arange(0, len(array)))


def _extension(array: Any) -> Any:
    return pa.ExtensionArray.from_storage(array.type, exact_array(array.storage))


def _dictionary(array: Any) -> Any:
    kind, indices = array.type, _taken(array.indices)
    used = pc.unique(indices.drop_null())
    used = used.take(pc.sort_indices(used))
    words = exact_array(array.dictionary.take(used))
    places = pc.index_in(indices, value_set=used).cast(kind.index_type)
    return pa.DictionaryArray.from_arrays(places, words, ordered=kind.ordered)


def _runs(array: Any) -> Any:
    return pc.run_end_encode(exact_array(pc.run_end_decode(array)), array.type.run_end_type)


def _text_view(array: Any) -> Any:
    return _taken(array.cast(pa.large_string())).cast(array.type)


def _binary_view(array: Any) -> Any:
    return _taken(array.cast(pa.large_binary())).cast(array.type)


def _struct(array: Any) -> Any:
    """Taking leaves the children beneath a null as they are: here they are null as well."""
    if not array.type.num_fields:
        return _taken(array)
    children = [exact_array(child) for child in array.flatten()]
    return pa.StructArray.from_arrays(children, fields=list(array.type), mask=array.is_null())


def _list(array: Any) -> Any:
    taken = _taken(array)
    make = pa.LargeListArray if pa.types.is_large_list(array.type) else pa.ListArray
    return make.from_arrays(taken.offsets, exact_array(taken.values), type=array.type, mask=taken.is_null())


def _fixed_list(array: Any) -> Any:
    taken = _taken(array)
    return pa.FixedSizeListArray.from_arrays(exact_array(taken.values), type=array.type, mask=taken.is_null())


def _list_view(array: Any) -> Any:
    taken = _taken(array)
    make = pa.LargeListViewArray if pa.types.is_large_list_view(array.type) else pa.ListViewArray
    values = exact_array(taken.values)
    return make.from_arrays(taken.offsets, taken.sizes, values, type=array.type, mask=taken.is_null())


def _map(array: Any) -> Any:
    taken = _taken(array)
    keys, items = exact_array(taken.keys), exact_array(taken.items)
    return pa.MapArray.from_arrays(taken.offsets, keys, items, type=array.type, mask=taken.is_null())


def _union(array: Any) -> Any:
    """Each child of a sparse one has all rows: null where another child is meant. A dense one gets that form first."""
    array = _taken(array)  # of a part, codes and offsets would be told as of the whole
    kind, codes = array.type, _taken(array.type_codes)
    names = [kind.field(place).name for place in range(kind.num_fields)]
    children, offsets = [], pa.array([0] * len(array), pa.int32())
    for place, code in enumerate(kind.type_codes):
        mine = pc.equal(codes, pa.scalar(code, pa.int8()))
        if kind.mode == "dense":
            children.append(exact_array(array.field(place).take(array.offsets.filter(mine))))
            behind = pc.subtract(pc.cumulative_sum(mine.cast(pa.int32())), pa.scalar(1, pa.int32()))
            offsets = pc.if_else(mine, behind, offsets)
        else:
            rows = pc.if_else(mine, pa.arange(0, len(array)), pa.scalar(None, pa.int64()))
            children.append(exact_array(array.field(place).take(rows)))
    if kind.mode == "dense":
        return pa.UnionArray.from_dense(codes, offsets, children, names, kind.type_codes)
    return pa.UnionArray.from_sparse(codes, children, names, kind.type_codes)


_MADE: tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...] = (
    (lambda kind: isinstance(kind, pa.BaseExtensionType), _extension),
    (pa.types.is_dictionary, _dictionary),
    (pa.types.is_run_end_encoded, _runs),
    (pa.types.is_string_view, _text_view),
    (pa.types.is_binary_view, _binary_view),
    (pa.types.is_struct, _struct),
    (pa.types.is_map, _map),
    (lambda kind: pa.types.is_list(kind) or pa.types.is_large_list(kind), _list),
    (pa.types.is_fixed_size_list, _fixed_list),
    (lambda kind: pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind), _list_view),
    (pa.types.is_union, _union),
)
