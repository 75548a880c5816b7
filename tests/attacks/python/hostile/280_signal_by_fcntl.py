# category: signals
# must: must not have the kernel signal another process about a pipe of the job
# expect: contained
# control: run
import fcntl, os, signal
r, w = os.pipe()
fcntl.fcntl(r, fcntl.F_SETOWN, @@AGENT_PID@@)
fcntl.fcntl(r, 10, signal.SIGTERM)
fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
os.write(w, b'x')
result = 'ESCAPED asked for a signal' if fcntl.fcntl(r, fcntl.F_GETOWN) == @@AGENT_PID@@ else ''
