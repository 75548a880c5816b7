# category: process
# must: must not run a program out of memory
# expect: contained
# control: run
import os
fd = os.memfd_create('p', 0)
os.write(fd, b'#!/bin/sh\ncp @@SECRET_FILE@@ @@OUT_DIR@@/pwned_memfd.txt\n')
os.execve(fd, ['p'], {})
