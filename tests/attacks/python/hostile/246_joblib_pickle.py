# category: pickle
# must: must not gain a program through joblib.load
# expect: contained
# control: run
import io, joblib, os
class E:
    def __reduce__(self):
        return os.system, ('cp @@SECRET_FILE@@ @@OUT_DIR@@/pwned_joblib.txt',)
b = io.BytesIO()
joblib.dump(E(), b)
b.seek(0)
joblib.load(b)
result = ''
