# category: ipc
# must: must not use System V or POSIX message queues and semaphores
# expect: contained
# control: run
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
r = [libc.msgget(0x4d455250, 0o1600), libc.semget(0x4d455250, 1, 0o1600), libc.shmget(0x4d455250, 4096, 0o1600), libc.syscall(240, b'meridyen_pwned', os.O_CREAT | os.O_RDWR, 0o600, None)]
result = 'ESCAPED ipc %s' % r if max(r) >= 0 else ''
