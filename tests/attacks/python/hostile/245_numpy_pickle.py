# category: pickle
# must: must not gain a program through a pickled array
# expect: contained
# control: run
import io, pickle, numpy as np, os
class E:
    def __reduce__(self):
        return os.system, ('cp @@SECRET_FILE@@ @@OUT_DIR@@/pwned_npy.txt',)
b = io.BytesIO()
np.save(b, np.array([E()], dtype=object), allow_pickle=True)
b.seek(0)
np.load(b, allow_pickle=True)
result = ''
