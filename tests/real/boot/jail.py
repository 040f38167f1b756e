"""
Where a function runs: a root with Node and nothing else, read-only, as another user.

As on Lambda there are `/var/task` with the function, a writable `/tmp`, `/proc`, and of `/dev` what
programs expect, but no `/dev/shm`. There is no Python, and neither this checkout nor anything else
of this machine but Node and the libraries it needs. All is mounted in a namespace of the function's
process and goes with it.

That takes Linux and root, or a kernel that lets users have namespaces; there the user stays the
same. Elsewhere a function runs in the open, and tests that need walls are skipped with the reason.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
USER = 993
GROUP = 990
_DEVICES = ("null", "zero", "random", "urandom")


@functools.cache
def why_not_isolated() -> str:
    """Return why functions cannot be walled in here, or nothing if they can."""
    if sys.platform != "linux":
        return f"there are no mount namespaces on {sys.platform}"
    if not all(shutil.which(name) for name in ("unshare", "chroot", "mount")):
        return "unshare, chroot and mount are needed"
    tried = subprocess.run(
        [*_unshare(), "mount", "-t", "tmpfs", "tried", "/mnt"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return f"no namespaces for this user: {tried.stderr.strip()}" if tried.returncode else ""


def _unshare() -> list[str]:
    return ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


class Jail:
    """
    A root to start functions in, made in *folder*.

    *base* may be the root folder of another system, such as one with an older glibc, which is used
    with this machine's Node; without it the libraries are this machine's own. *is_open* leaves out
    the walls: for an interpreter that needs more of this machine.
    """

    def __init__(self, folder: Path, *, base: Path | None = None, is_open: bool = False) -> None:
        self.is_isolated = not is_open and not why_not_isolated()
        self.changes_user = self.is_isolated and os.geteuid() == 0
        self._root = folder / "root"
        self._base = base
        if self.is_isolated:
            self._lay_out()

    def command(self, task: Path) -> list[str]:
        """
        Return what to run to start the function in *task*.

        It says `prepared` when all is in place and begins when it is told to by a line.
        """
        if not self.is_isolated:
            boot = shlex.quote(str(HERE / "boot.mjs"))
            return ["/bin/sh", "-ec", f"echo prepared; read go; exec {_node()} {boot}"]
        return [*_unshare(), "/bin/sh", "-ec", "\n".join(self._script(task))]

    def task_root(self, task: Path) -> str:
        """Return where the function in *task* will see itself."""
        return "/var/task" if self.is_isolated else str(task)

    def _script(self, task: Path) -> Iterator[str]:
        mount, root = shutil.which("mount"), shlex.quote(str(self._root))
        bound = {
            task: "var/task",
            HERE / "boot.mjs": "var/runtime/boot.mjs",
            _node(): "srv/node",
            **{f"/dev/{name}": f"dev/{name}" for name in _DEVICES},
        }
        yield f"cd /; {mount} --bind {shlex.quote(str(self._base or self._root))} {root}"
        for name in ("var", "srv", "dev"):
            yield f"{mount} -t tmpfs -o mode=755 {name} {root}/{name}"
        yield f"mkdir {root}/var/task {root}/var/runtime"
        yield "touch " + " ".join(f"{root}/{path}" for path in [*bound.values()][1:])
        for source, target in bound.items():
            yield f"{mount} --bind {shlex.quote(str(source))} {root}/{target}"
        yield f"{mount} -o remount,bind,ro {root}/var/task"
        yield f"{mount} --rbind /proc {root}/proc"
        yield f"{mount} -t tmpfs -o mode=1777,size=512m tmp {root}/tmp"
        yield f"{mount} -o remount,bind,ro {root}"
        user = f"--userspec={USER}:{GROUP} --groups=" if self.changes_user else ""
        yield "echo prepared"
        yield "read go"
        yield f"exec {shutil.which('chroot')} {user} {root} /srv/node /var/runtime/boot.mjs"

    def _lay_out(self) -> None:
        self._root.mkdir(parents=True)
        if self._base:
            return
        for name in ("var", "srv", "dev", "proc", "tmp", "etc"):
            (self._root / name).mkdir()
        (self._root / "etc/passwd").write_text(f"sandbox:x:{USER}:{GROUP}::/tmp:/sbin/nologin\n")
        for library in _libraries():
            target = self._root / library.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(library, target)
            target.chmod(0o755)


@functools.cache
def _node() -> str:
    node = shutil.which("node")
    if node is None:
        msg = "Node 20 or later is needed to run functions; there is no `node`"
        raise RuntimeError(msg)
    return os.path.realpath(node)


def _libraries() -> Iterator[Path]:
    """Yield the libraries Node loads, and those that Python does: none is Python's own."""
    listing = subprocess.run(["ldd", _node()], capture_output=True, text=True, check=True).stdout
    found = [Path(path) for path in re.findall(r"(/\S+) \(0x", listing)]
    yield from found
    beside = next(path.parent for path in found if path.name.startswith("libc.so"))
    for name in (
        "libutil.so.1",
        "librt.so.1",
        "libresolv.so.2",
        "libnss_files.so.2",
        "libnss_dns.so.2",
    ):
        if (beside / name).is_file() and beside / name not in found:
            yield beside / name
