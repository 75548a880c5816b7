# category: forging
# must: an Arrow extension type must not run anything at the agent
# expect: contained
# control: none
import pyarrow as pa
class E(pa.ExtensionType):
    def __init__(self):
        super().__init__(pa.int64(), 'pwned.type')
    def __arrow_ext_serialize__(self):
        return b"cos\nsystem\n(S'touch @@OUT_DIR@@/pwned_ext.txt'\ntR."
    @classmethod
    def __arrow_ext_deserialize__(cls, storage, data):
        return cls()
result = pa.table({'x': pa.ExtensionArray.from_storage(E(), pa.array([1, 2]))})
