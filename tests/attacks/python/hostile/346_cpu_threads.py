# category: resource
# must: many busy threads must end with the job
# expect: contained
# control: run
import threading
def spin():
    while True:
        pass
for _ in range(16):
    threading.Thread(target=spin).start()
