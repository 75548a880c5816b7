# category: process
# must: must not replace itself by a program
# expect: contained
# control: run
import os
os.execv('/bin/sh', ['sh', '-c', 'cp @@SECRET_FILE@@ @@OUT_DIR@@/pwned_exec.txt'])
