# category: filesystem-write
# must: must not unpack an archive over a path outside
# expect: contained
# control: run
import io, tarfile
data = io.BytesIO()
with tarfile.open(fileobj=data, mode='w') as t:
    i = tarfile.TarInfo('@@OUT_DIR@@/pwned_tar.txt')
    i.size = 1
    t.addfile(i, io.BytesIO(b'x'))
data.seek(0)
tarfile.open(fileobj=data).extractall('/', filter='fully_trusted')
result = ''
