# category: process
# must: must not spawn a program
# expect: contained
# control: run
import os
pid = os.posix_spawn('/bin/sh', ['sh', '-c', 'cp @@SECRET_FILE@@ @@OUT_DIR@@/pwned_spawn.txt'], {})
os.waitpid(pid, 0)
result = ''
