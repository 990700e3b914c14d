"""What the kernel is asked to refuse to this process, for good: seccomp, Landlock, resource limits, capabilities.

Nothing of it needs a privilege, so it works the same in a pod under the `restricted` Pod Security Standard, on a
laptop, and as root. Written on the system calls themselves: the bindings that exist are unmaintained or need a C
library that slim images lack. Sources: linux/seccomp.h, linux/landlock.h, linux/capability.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 4, 38, 22
SECCOMP_MODE_FILTER = 2
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
CLONE_THREAD = 0x00010000

# System calls by their numbers on x86-64 and on arm64 (None: it has no such call).
REFUSED: dict[str, tuple[int, int | None]] = {
    # network
    "socket": (41, 198),
    # new processes (threads may; see `_filter`), and a hand in others
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "kcmp": (312, 272), "prlimit64": (302, 261), "setpriority": (141, 140),
    "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119), "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    # what goes around a filter, or to the kernel itself
    "io_uring_setup": (425, 425), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "unshare": (272, 97), "setns": (308, 268),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsmount": (432, 432), "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265), "personality": (135, 92), "memfd_secret": (447, 447), "syslog": (103, 116),
    # left behind after its end
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
}  # fmt: skip
# These are answered "no such call", so that the C library takes the older one, whose arguments a filter can read.
UNKNOWN: dict[str, tuple[int, int | None]] = {"clone3": (435, 435)}
CLONE = (56, 220)
MACHINES = {"x86_64": (0, 0xC000003E, 126), "aarch64": (1, 0xC00000B7, 91)}  # column, AUDIT_ARCH, capset

LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
LANDLOCK_VERSION = 1
READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read a file, read a directory
# write, remove, make directories, files and links, move, truncate
WRITE = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 12 | 1 << 13 | 1 << 14
# Every right that an ABI version knows, to be refused where no rule allows it.
ALL_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
FILE_RIGHTS = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15


class ConfinementError(Exception):
    """This machine cannot hold back foreign code; the message says what is missing."""


def limit_resources(*, memory: int, seconds: int, file_bytes: int) -> None:
    """Set this process's limits: address space and written files in bytes, processor time in seconds."""
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))


def confine(*, scratch: Path, readable: Iterable[Path]) -> None:
    """Give up for good: network, other processes, privileges, and all files but `readable` and the scratch folder.

    Raises:
        ConfinementError: the kernel or the machine cannot do it.
    """
    column, architecture, capset = _machine()
    libc = ctypes.CDLL(None, use_errno=True)
    _call(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _call(libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "dumpable")
    _drop_capabilities(libc, capset)
    _restrict_files(libc, scratch, readable)
    _install(libc, _filter(column, architecture))


def refuse_network() -> None:
    """Give up the network for good, in this process and all that it starts.

    Raises:
        ConfinementError: the kernel or the machine cannot do it.
    """
    column, architecture, _ = _machine()
    libc = ctypes.CDLL(None, use_errno=True)
    _call(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _install(libc, _filter(column, architecture, calls=("socket", "io_uring_setup"), processes=True))


def _machine() -> tuple[int, int, int]:
    if sys.platform != "linux":
        raise ConfinementError("code of models runs on Linux alone: macOS and Windows have no seccomp and no Landlock")
    machine = MACHINES.get(platform.machine())
    if machine is None:
        raise ConfinementError(f"no filter of system calls is known for {platform.machine()}")
    return machine


def _install(libc: ctypes.CDLL, steps: Iterable[bytes]) -> None:
    program = b"".join(steps)
    code = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    _call(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.create_string_buffer(header), 0, 0), "seccomp")


def landlock_version() -> int:
    """The version of Landlock that the kernel speaks; 0: none."""
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(LANDLOCK_CREATE, None, 0, LANDLOCK_VERSION)))


def _call(result: int, what: str) -> None:
    if result < 0:
        raise ConfinementError(f"the kernel refuses {what}: {os.strerror(ctypes.get_errno())}")


def _drop_capabilities(libc: ctypes.CDLL, capset: int) -> None:
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
    _call(libc.syscall(capset, header, ctypes.create_string_buffer(24)), "capset")


def _restrict_files(libc: ctypes.CDLL, scratch: Path, readable: Iterable[Path]) -> None:
    version = landlock_version()
    if version == 0:
        raise ConfinementError("the kernel has no Landlock: Linux 5.13 or later with landlock among its LSMs is needed")
    handled = ALL_RIGHTS[max(known for known in ALL_RIGHTS if known <= version)]
    attributes = ctypes.create_string_buffer(struct.pack("Q", handled))
    ruleset = libc.syscall(LANDLOCK_CREATE, attributes, 8, 0)
    _call(ruleset, "a Landlock ruleset")
    writable = (scratch, Path("/dev/null"))
    for path, rights in [(path, READ) for path in readable] + [(path, READ | WRITE) for path in writable]:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        rights &= handled if path.is_dir() else handled & FILE_RIGHTS
        rule = ctypes.create_string_buffer(struct.pack("<Qi", rights, place))
        _call(libc.syscall(LANDLOCK_ADD, ruleset, 1, rule, 0), f"a Landlock rule for {path}")
        os.close(place)
    _call(libc.syscall(LANDLOCK_RESTRICT, ruleset, 0), "Landlock")
    os.close(ruleset)


def _filter(
    column: int, architecture: int, *, calls: Iterable[str] = tuple(REFUSED), processes: bool = False
) -> Iterator[bytes]:
    """A classic BPF program over `struct seccomp_data`: number at 0, architecture at 4, first argument at 16.

    Args:
        column: of the tables of calls.
        architecture: the only one whose calls are let through.
        calls: those of `REFUSED` that are refused.
        processes: new ones may be made.
    """

    def step(code: int, value: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
        return struct.pack("HBBI", code, jump_true, jump_false, value)

    load, equal, at_least, any_bit, leave = 0x20, 0x15, 0x35, 0x45, 0x06
    yield step(load, 4)
    yield step(equal, architecture, 1, 0)
    yield step(leave, KILL)
    yield step(load, 0)
    yield step(at_least, 0x40000000, 0, 1)  # x32 calls, which have the same architecture
    yield step(leave, KILL)
    refused = {name: (REFUSED[name], errno.EPERM) for name in calls}
    if not processes:
        refused |= {name: (numbers, errno.ENOSYS) for name, numbers in UNKNOWN.items()}
    for numbers, answer in refused.values():
        if (number := numbers[column]) is not None:
            yield step(equal, number, 0, 1)
            yield step(leave, ERRNO | answer)
    if not processes:
        yield step(equal, CLONE[column], 0, 3)
        yield step(load, 16)
        yield step(any_bit, CLONE_THREAD, 1, 0)
        yield step(leave, ERRNO | errno.EPERM)
    yield step(leave, ALLOW)
