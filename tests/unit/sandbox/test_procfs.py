import os
import threading

import pytest

from agent.sandbox.procfs import Procfs, Usage


def test_usage_from_the_kernels_text() -> None:
    text = b"Name:\tx\nVmRSS:\t 99999 kB\nRssAnon:\t  10 kB\nRssFile:\t 500 kB\nRssShmem:\t 5 kB\nThreads:\t7\nVmSwap:\t 1 kB\n"
    assert Usage.of(text) == Usage(16 * 1024, 7)


def test_a_process_is_found_by_its_pidfd() -> None:
    proc = Procfs()
    pidfd = os.pidfd_open(os.getpid())
    try:
        assert proc.number(pidfd) == os.getpid()
        assert proc.usage(os.getpid()).memory_bytes > 1 << 20
    finally:
        os.close(pidfd)
        proc.close()


def test_a_process_that_was_waited_for_is_not_found() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    pidfd = os.pidfd_open(pid)
    os.waitpid(pid, 0)
    proc = Procfs()
    try:
        with pytest.raises(ProcessLookupError):
            proc.number(pidfd)
    finally:
        os.close(pidfd)
        proc.close()


def test_threads_are_counted() -> None:
    proc, go = Procfs(), threading.Event()
    before = len(proc.threads())
    thread = threading.Thread(target=go.wait)
    thread.start()
    try:
        assert len(proc.threads()) == before + 1
        assert proc.usage(os.getpid()).threads == before + 1
    finally:
        go.set()
        thread.join()
        proc.close()
