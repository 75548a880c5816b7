"""An interpreter of classic BPF, as far as seccomp programs of this project use it: what would the kernel decide?"""

import errno
import struct

import pytest

ALLOW, KILL = 0x7FFF0000, 0x80000000


def denied(error: int = errno.EPERM) -> int:
    return 0x50000 | error


def decide(program: bytes, number: int, arch: int, arguments: tuple[int, ...] = ()) -> int:
    """What the kernel's interpreter of classic BPF would return."""
    data = struct.pack("=iIQ6Q", number, arch, 0, *arguments, *[0] * (6 - len(arguments)))
    code = list(struct.iter_unpack("=HBBI", program))
    at, word = 0, 0
    while True:
        operation, if_true, if_false, operand = code[at]
        at += 1
        match operation:
            case 0x20:
                (word,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                word &= operand
            case 0x15:
                at += if_true if word == operand else if_false
            case 0x25:
                at += if_true if word > operand else if_false
            case 0x45:
                at += if_true if word & operand else if_false
            case 0x06:
                return operand
            case _:
                pytest.fail(f"not an instruction that we emit: {operation:#x}")
