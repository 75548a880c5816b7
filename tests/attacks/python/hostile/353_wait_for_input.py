# category: resource
# must: a job that waits for more input must be ended
# expect: contained
# control: run
import os, time
while True:
    os.read(0, 10)
    time.sleep(0.01)
