"""What the process of an untrusted program may ask of the kernel: a list of what is allowed, and nothing else.

Calls that programs try and do without (ENOSYS) are told from those that would reach outside (EPERM). No plain call
kills: libraries try calls that they do not need.
"""

import errno

from agent.sandbox import seccomp
from agent.sandbox.seccomp import Allow, Every, Forbid, Masked, NotAll, OneOf, Rule

_FILES = (
    *("read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2", "lseek"),
    *("creat", "close", "close_range", "dup", "dup2", "dup3", "pipe", "fsync", "fdatasync", "flock"),
    *("stat", "fstat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2"),
    *("statfs", "fstatfs", "getdents", "getdents64", "getcwd", "chdir", "fchdir", "umask", "mkdir", "mkdirat", "rmdir"),
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "ftruncate", "fallocate", "fadvise64", "readahead"),
    *("sendfile", "copy_file_range", "sync_file_range"),
    *("select", "pselect6", "poll", "ppoll", "eventfd", "eventfd2", "epoll_create", "epoll_create1", "epoll_ctl"),
    *("epoll_wait", "epoll_pwait", "epoll_pwait2"),
)
_MEMORY = ("brk", "munmap", "mprotect", "mremap", "madvise", "msync", "mincore")
_THREADS = (
    *("futex", "set_robust_list", "rseq", "membarrier", "sched_yield", "set_tid_address", "gettid"),
    *("arch_prctl", "getcpu", "exit", "exit_group", "restart_syscall", "wait4", "waitid"),
)
_SIGNALS = (
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend", "pause"),
    "sigaltstack",
)
_TIME = (
    *("time", "times", "gettimeofday", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "alarm"),
    *("getitimer", "setitimer"),
)
_FACTS = (
    *("getpid", "getppid", "getpgrp", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups"),
    *("uname", "sysinfo", "getrlimit", "getrusage", "getrandom"),
)

_SOCKETS = (
    *("socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto", "recvfrom", "sendmsg"),
    *("recvmsg", "sendmmsg", "recvmmsg", "shutdown", "getsockname", "getpeername", "setsockopt", "getsockopt"),
)
_NAMES_OF_FILES = ("link", "linkat", "symlink", "symlinkat", "mknod", "mknodat")
_WHO_IT_IS = (
    *("setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid"),
    *("setrlimit", "setpriority", "setpgid", "setsid", "capset", "capget", "sched_setscheduler", "sched_setparam"),
    *("sched_setattr", "ioprio_set", "migrate_pages", "move_pages", "modify_ldt"),
)
_QUEUES = ("mq_timedsend", "mq_timedreceive", "mq_notify", "mq_getsetattr")
_ATTRIBUTES = (
    *("getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr", "setxattrat", "removexattrat"),
)
_JAILS = ("seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "pidfd_open")

_CLONE_VM = 0x00000100
_CLONE_FS = 0x00000200
_CLONE_FILES = 0x00000400
_CLONE_SIGHAND = 0x00000800
_CLONE_THREAD = 0x00010000
_CLONE_OTHERS = 0x00002000 | 0x00004000 | 0x00008000 | 0x00800000 | 0x00001000  # PTRACE VFORK PARENT UNTRACED PIDFD
_CLONE_NEW = 0x7E020000 | 0x80000000  # every namespace, and CLONE_IO
# With the files of the others too: else each thread would have a table of descriptors, and a limit of them, of its own.
_A_THREAD = _CLONE_VM | _CLONE_FS | _CLONE_FILES | _CLONE_SIGHAND | _CLONE_THREAD

_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS TIOCGWINSZ FIONREAD FIONBIO FIONCLEX FIOCLEX
# PR_GET_DUMPABLE, SET_NAME, GET_NAME, GET_SECCOMP, GET_NO_NEW_PRIVS, SET_THP_DISABLE, GET_THP_DISABLE, SET_VMA
_PRCTLS = (3, 15, 16, 21, 39, 41, 42, 0x53564D41)
# F_DUPFD, GETFD, SETFD, GETFL, SETFL, the locks, F_DUPFD_CLOEXEC, GETPIPE_SZ. Not F_SETOWN and F_SETSIG: with them the
# kernel signals other processes; not F_SETPIPE_SZ: that memory is counted nowhere.
_FCNTLS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)
_PIPE_FLAGS = 0o4000 | 0o40000 | 0o2000000  # O_NONBLOCK, O_DIRECT, O_CLOEXEC; not the pipes that notify
_MAP_SHARED_ANONYMOUS = 0x01 | 0x20
_NO_NAME = 0o20000000  # O_TMPFILE, without the bit that it shares with O_DIRECTORY
_IN_ITS_OWN_ROOT: tuple[Rule, ...] = (Allow(("open", "openat", "readlink", "readlinkat")),)
_IN_THE_MACHINES_ROOT: tuple[Rule, ...] = (
    Masked(("open",), 1, _NO_NAME, 0, errno.EOPNOTSUPP),
    Masked(("openat",), 2, _NO_NAME, 0, errno.EOPNOTSUPP),
    Forbid(("readlink", "readlinkat"), errno.EINVAL),  # what the kernel says of a file that is no link
)
_ALL_BITS = 0xFFFFFFFF


def rules(pid: int, *, own_root: bool = False) -> tuple[Rule, ...]:
    """For `seccomp.install(rules(…), "unknown")`. `pid` is the process's own number, as it sees it itself.

    `own_root` says that what can be found by a path is the job's own: else a link would tell where it leads, which
    Landlock has no right for, and a file without a name would be in no folder that is watched.
    """
    own = (0, pid)
    return (
        *(_IN_ITS_OWN_ROOT if own_root else _IN_THE_MACHINES_ROOT),
        Allow((*_FILES, *_MEMORY, *_THREADS, *_SIGNALS, *_TIME, *_FACTS)),
        # Pages of shared memory that no process maps any more are still held, and counted nowhere.
        NotAll(("mmap",), 3, _MAP_SHARED_ANONYMOUS),
        OneOf(("ioctl",), 1, _IOCTLS, errno.ENOTTY),
        OneOf(("fcntl",), 1, _FCNTLS),
        Masked(("pipe2",), 1, _ALL_BITS & ~_PIPE_FLAGS, 0),
        Masked(("clone",), 0, _A_THREAD | _CLONE_OTHERS | _CLONE_NEW, _A_THREAD),
        # Its flags lie in memory, out of a filter's sight; on ENOSYS libc falls back to clone.
        Forbid(("clone3",), errno.ENOSYS),
        OneOf(("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"), 0, (pid,)),
        OneOf(("prctl",), 0, _PRCTLS),
        # To read its limits, not to set them.
        Every(("prlimit64",), ((0, own),), null=(2,)),
        OneOf(("sched_setaffinity", "sched_getaffinity", "sched_getparam", "sched_getscheduler"), 0, own),
        Allow(("sched_get_priority_max", "sched_get_priority_min")),
        Forbid((*_SOCKETS, *seccomp.PROGRAMS, *seccomp.OTHER_PROCESSES, *_NAMES_OF_FILES, *seccomp.FILE_ATTRIBUTES)),
        Forbid((*seccomp.KEPT_BEYOND_THE_JOB, *_QUEUES, *seccomp.UNCOUNTED_MEMORY, *seccomp.KERNEL_SURFACE)),
        Forbid((*_WHO_IT_IS, *_ATTRIBUTES, *_JAILS)),
    )
