"""`python -I one_layer.py`: for each layer a program that does something where no layer is, and that this layer stops.

Says a JSON object: the layer -> [what the program did without any layer, what it did under that layer alone]. Each runs
in a forked process; only the layer's own function of the product is called. What needs more privilege than there is is
left out.
"""

import ctypes
import errno
import json
import mmap
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from agent.sandbox import jail, landlock, namespaces, places, process, seccomp, untrusted

DONE = "done"
BEFORE = "a variable of the server"
LIBC = ctypes.CDLL(None, use_errno=True)

Act = Callable[[], object]


class Things:
    """What the programs reach for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "secret"
        self.file.write_text("secret")
        self.descriptor = os.open(self.file, os.O_RDONLY)
        self.server = socket.socket()
        self.server.bind(("127.0.0.1", 0))
        self.server.listen(8)
        self.parent = os.getpid()
        self.segment = LIBC.shmget(0x4D455260 + os.getpid() % 1000, 4096, 0o1600)
        os.putenv("ONE_LAYER", BEFORE)
        (folder / "scratch").mkdir()


def connect(things: Things) -> None:
    socket.create_connection(things.server.getsockname(), 1).close()


def read_variable(_: Things) -> None:
    LIBC.getenv.restype = ctypes.c_char_p
    if LIBC.getenv(b"ONE_LAYER") != BEFORE.encode():
        raise OSError(errno.ENOENT, "")


def shared_segment(_: Things) -> None:
    if LIBC.shmget(0x4D455260 + os.getppid() % 1000 if os.getppid() else 0, 4096, 0) < 0:
        raise OSError(ctypes.get_errno(), "")


def other_name(_: Things) -> None:
    if os.uname().nodename == "sandbox":
        raise OSError(errno.EPERM, "")


def call(number: int) -> None:
    if number < 0:
        raise OSError(ctypes.get_errno(), "")


def many_files(_: Things) -> None:
    for _ in range(400):
        os.dup(0)


def big_file(things: Things) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    (things.folder / "scratch" / "big").write_bytes(bytes(2 << 20))


def burn(_: Things) -> None:
    give_up = time.process_time() + 2.5
    while time.process_time() < give_up:
        pass


def lock_memory(_: Things) -> None:
    held = mmap.mmap(-1, 4096)
    call(LIBC.mlock(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(held))), 4096))


def message_queue(_: Things) -> None:
    name = b"meridyen-one-layer"
    call(LIBC.syscall(240, name, os.O_CREAT | os.O_RDWR, 0o600, None))
    LIBC.syscall(241, name)


def queue_signals(_: Things) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
    for _ in range(300):
        call(LIBC.sigqueue(os.getpid(), signal.SIGRTMIN, None))


def much_address_space(_: Things) -> None:
    mmap.mmap(-1, 40 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)


def dump_core(_: Things) -> None:
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        raise OSError(errno.EPERM, "")


def be_traced(_: Things) -> None:
    """By a process of the same account: whether its memory could be opened."""
    parent, child = os.getpid(), os.fork()
    if child == 0:
        try:
            os.close(os.open(f"/proc/{parent}/mem", os.O_RDONLY))
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        raise OSError(status, "")


def limits(kind: str) -> Act:
    """Only one of the limits."""

    def set_one() -> None:
        lower, wanted = process._lower, getattr(resource, f"RLIMIT_{kind}", 12)
        process._lower = lambda which, soft, hard: lower(which, soft, hard) if which == wanted else None
        process.limit_resources(
            cpu_seconds=1, memory_bytes=4 << 30, file_bytes=1 << 20, open_files=64, mapped_bytes=8 << 30
        )

    return set_one


def namespace_of(*names: str) -> Act:
    """Only these, with the user namespace that an account without privileges needs for them."""

    def leave() -> None:
        namespaces.FLAGS = namespaces.NEW_USER
        for name in names:
            namespaces.FLAGS |= getattr(namespaces, name)
        namespaces.leave()

    return leave


def own_root() -> None:
    root = namespaces.Root.plan(places.code())
    namespaces.leave()
    first_of_new_pids()
    namespaces.settle(root)


def first_of_new_pids() -> None:
    """Goes on in the new namespace's first process."""
    if child := os.fork():
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def own_pids() -> None:
    namespace_of("NEW_PIDS")()
    first_of_new_pids()


def as_nobody() -> None:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    LIBC.prctl(4, 1, 0, 0, 0)


def cases(things: Things) -> dict[str, tuple[Act, Callable[[Things], object], bool]]:
    """Layer -> how it is put in force, the program, and whether it is run as another account."""
    read = lambda it: it.file.read_text()  # noqa: E731
    found: dict[str, tuple[Act, Callable[[Things], object], bool]] = {
        "descriptors": (
            lambda: process.keep_descriptors(set(range(64)) - {things.descriptor}),
            lambda it: os.fstat(it.descriptor),
            False,
        ),
        "environment": (lambda: jail.clear_environment(str(things.folder)), read_variable, False),
        "pid namespace": (own_pids, lambda it: os.kill(it.parent, 0), False),
        "net namespace": (namespace_of("NEW_NET"), connect, False),
        "mount namespace and own root": (own_root, read, False),
        "ipc namespace": (namespace_of("NEW_IPC"), shared_segment, False),
        "uts namespace": (uts, other_name, False),
        "Landlock": (lambda: landlock.restrict(read=["/usr"]), read, False),
        "seccomp": (lambda: seccomp.install(untrusted.rules(os.getpid()), "unknown"), connect, False),
        "RLIMIT_NOFILE": (limits("NOFILE"), many_files, False),
        "RLIMIT_FSIZE": (limits("FSIZE"), big_file, False),
        "RLIMIT_CPU": (limits("CPU"), burn, False),
        "RLIMIT_AS": (limits("AS"), much_address_space, False),
        "RLIMIT_MEMLOCK": (limits("MEMLOCK"), lock_memory, True),
        "RLIMIT_MSGQUEUE": (limits("MSGQUEUE"), message_queue, True),
        "RLIMIT_SIGPENDING": (limits("SIGPENDING"), queue_signals, False),
        "RLIMIT_CORE": (limits("CORE"), dump_core, False),
        "DUMPABLE": (process.forbid_dumps, be_traced, True),
    }
    if os.getuid() == 0:
        found["capabilities"] = (process.drop_capabilities, lambda _: os.setpriority(os.PRIO_PROCESS, 0, -5), False)
        found["user namespace"] = (namespace_of(), lambda _: os.setgroups([]), False)
        found["NO_NEW_PRIVS"] = (process.forbid_new_privileges, set_user_id(things), True)
    return found


def set_user_id(things: Things) -> Callable[[Things], object]:
    """A shell that is root for whoever starts it: it may read what only root may, unless nothing is gained."""
    place = things.folder / "cat"
    shutil.copy("/bin/cat", place)
    place.chmod(0o4755)
    hidden = things.folder / "hidden"
    hidden.write_text("x")
    hidden.chmod(0o600)

    def read(_: Things) -> None:
        child = os.fork()
        if child == 0:
            null = os.open(os.devnull, os.O_RDWR)
            for fd in (1, 2):
                os.dup2(null, fd)
            os.execv(place, ["cat", str(hidden)])
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            raise OSError(errno.EPERM, "")

    return read


def uts() -> None:
    namespace_of("NEW_UTS")()
    LIBC.sethostname(b"sandbox", 7)


def outcome(layer: Act | None, program: Callable[[Things], object], things: Things, other: bool) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = "the layer could not be put in force"
        try:
            if other and os.getuid() == 0:
                as_nobody()
            if layer is not None:
                layer()
            said = DONE
            program(things)
        except OSError as error:
            said = errno.errorcode.get(error.errno, "?")
        except MemoryError:
            said = "ENOMEM"
        except BaseException as error:  # noqa: BLE001 - this process must not go on as the one that it was forked from
            said = f"{type(error).__name__}: {error}"
        with suppress(OSError):
            os.write(writing, said.encode())
        os._exit(0 if said == DONE else 9)
    os.close(writing)
    with os.fdopen(reading, "rb") as heard:
        said = heard.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return said or f"ended with {status}"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        things = Things(folder)
        found = {
            layer: [outcome(None, program, things, other), outcome(act, program, things, other)]
            for layer, (act, program, other) in cases(things).items()
        }
        LIBC.shmctl(things.segment, 0, None)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
