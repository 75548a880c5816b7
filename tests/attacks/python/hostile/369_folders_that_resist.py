# category: resource
# must: scratch must be gone after the job, however deep, unreadable and oddly named it is
# expect: contained
# control: none
import os
os.umask(0)
for n in range(20):
    name = b'd\n\xff' + b'x' * 200 + str(n).encode()
    os.mkdir(name, 0o700)
    open(os.path.join(name, b'f'), 'w').close()
os.mkdir('closed', 0o700)
open('closed/f', 'w').close()
os.mkdir('closed/in', 0o000)
for n in range(39):
    os.mkdir('deep')
    os.chdir('deep')
result = 'made'
