# category: filesystem-write
# must: must not write to folders that others share
# expect: contained
# control: run
import os
done = []
for folder in ('/tmp', '/var/tmp', '/dev/shm', '/run', '/dev', '/'):
    if folder == os.environ.get('TMPDIR'):
        continue  # its own scratch, in a root of its own
    try:
        path = folder + '/meridyen_pwned'
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
        os.unlink(path)
        done.append(folder)
    except OSError:
        pass
result = 'ESCAPED %s' % done if done else ''
