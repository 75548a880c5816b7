# category: ipc
# must: must not make shared memory that outlives the job
# expect: contained
# control: run
from multiprocessing import shared_memory
m = shared_memory.SharedMemory(create=True, size=4096, name='meridyen_pwned')
result = 'ESCAPED shared memory ' + m.name
