# category: process
# must: a job without its death signal must still end
# expect: contained
# control: run
import ctypes, time
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
time.sleep(60)
