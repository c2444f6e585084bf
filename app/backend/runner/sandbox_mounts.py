"""What the processes in a sandbox see of the file system, as arguments for bubblewrap.

The system is there, read-only. Homes, the folders of the backend, /run and the temporary folders are not; of what lies
in them, an interpreter and its modules are put back, read-only as well. The session's own are /tmp, /var/tmp and HOME.
"""

import os
import sys
from typing import Any, Dict, Iterable, List, Set, Tuple

HOME = "/home/work"
"""The work folder, where sessions of a cluster have it too."""
SYSTEM = frozenset(
    "/ /usr /usr/local /bin /sbin /lib /lib32 /lib64 /etc /var /var/lib /var/cache /opt /dev /proc /sys /boot /srv "
    "/mnt /media /nix /nix/store /gnu /snap".split()
)
"""Folders that are the system's, whoever calls one of them a home."""
_PROC_READ_ONLY = ("acpi", "bus", "fs", "irq", "mtrr", "scsi", "sys", "sysrq-trigger")
"""Where root could write although it is not root of the whole machine: there the system looks at the number alone."""
_PROC_CLOSED = ("kcore", "keys", "timer_list")
TEMPORARY = ("/tmp", "/var/tmp")
PRIVATE = ("/home", "/root", "/run", "/var/run", "/var/home", "/export/home")
_RUNTIME = ("/run/current-system", "/run/booted-system", "/run/opengl-driver", "/run/nvidia-persistenced")
"""What belongs to the system although it lies in /run."""
_PARTS = ("bin", "lib", "lib64", "include")
"""What an interpreter needs of a prefix that cannot be shown as a whole, because it is a home, for instance."""


def is_below(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or lies in it; both are real paths."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


class View:
    """What is hidden, and what is put back."""

    def __init__(self, hide: Iterable[str]) -> None:
        """Takes folders, and files, that are not to be seen; those of the system stay."""
        real = {os.path.realpath(path) for path in hide}
        for path in real & SYSTEM:  # the home of somebody who has none: what makes it one is hidden
            real.update(os.path.join(path, name) for name in os.listdir(path) if name.startswith("."))
        self.hidden: Set[str] = {path for path in real - SYSTEM if os.path.lexists(path)}
        self.shown: Set[str] = set()
        self.links: Dict[str, str] = {}
        """Place of a symbolic link -> what it says."""

    def hides(self, path: str) -> bool:
        """Whether a real path is not seen, unless it is shown."""
        return any(is_below(path, folder) for folder in self.hidden)

    def show(self, path: str) -> None:
        """Puts a file or folder back where it is hidden, never so much that another hidden folder comes with it."""
        real = os.path.realpath(path)
        if not os.path.exists(real):
            return
        self._link(path)
        if self.hides(real) and not any(is_below(folder, real) for folder in self.hidden):
            self.shown.add(real)

    def show_prefix(self, prefix: str) -> None:
        """Puts the installation of an interpreter back; where that is too much, its parts."""
        real = os.path.realpath(prefix)
        if any(is_below(folder, real) for folder in self.hidden):
            for part in _PARTS:
                self.show(os.path.join(prefix, part))
        else:
            self.show(prefix)

    def _link(self, path: str) -> None:
        """Puts the symbolic links back that lie on the way to `path`."""
        here, names, left = "/", path.split("/"), 100
        while names and left:
            name = names.pop(0)
            if name in ("", "."):
                continue
            if name == "..":
                here = os.path.dirname(here)
                continue
            place = os.path.join(here, name)
            try:
                target = os.readlink(place)
            except OSError:
                here = place
                continue
            left -= 1
            if self.hides(place):
                self.links[place] = target
            names = target.split("/") + names
            if target.startswith("/"):
                here = "/"

    def mounts(self, own: Dict[str, str]) -> List[str]:
        """Returns the arguments for all of it; `own` is path inside -> folder outside of what can be written."""
        shown = {path for path in self.shown if not any(path != one and is_below(path, one) for one in self.shown)}
        args: List[str] = []
        covers = []
        for path in sorted(self.hidden - set(own), key=_depth):
            if any(path != one and is_below(path, one) for one in self.hidden):
                continue  # it lies in another
            if os.path.isdir(path):
                args += ["--tmpfs", path]
                covers.append(path)
            else:
                args += ["--ro-bind", "/dev/null", path]
        steps = [(place, ["--bind", folder, place]) for place, folder in own.items()]
        steps += [(path, ["--ro-bind", path, path]) for path in shown]
        for place, target in self.links.items():
            if not any(is_below(place, path) for path in shown):
                steps.append((place, ["--symlink", target, place]))
        for _place, step in sorted(steps, key=lambda item: _depth(item[0])):
            args += step
        for path in covers:  # what is empty shall not be filled: it would be memory
            args += ["--remount-ro", path]
        return args


def _depth(path: str) -> Tuple[int, str]:
    return path.count("/") if path != "/" else 0, path


def _show_interpreter(view: View) -> None:
    """Shows what this very interpreter is made of: the kernel inside runs on it, too."""
    view.show(sys.executable)
    for prefix in {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}:
        view.show_prefix(prefix)
    for path in sys.path:
        if path:
            view.show(path)


def _show_resolver(view: View) -> None:
    """Shows how names are resolved: often a file in /run, replaced as a whole, so that its folder is needed."""
    real = os.path.realpath("/etc/resolv.conf")
    folder = os.path.dirname(real)
    view.show(folder if folder not in view.hidden else real)
    view._link("/etc/resolv.conf")


def arguments(spec: Dict[str, Any], tmp_dir: str, work_dir: str) -> Tuple[List[str], str]:
    """Returns the arguments of bubblewrap up to its command, and the path of the work folder inside.

    `spec` is what `engines.sandbox` says: `version` of bubblewrap, `network`, `hide`, `keep`, `lent`,
    `prefixes` of installations that the kernel needs, `devices`, `shm_bytes`.
    """
    version = tuple(spec["version"])
    temporary = {os.path.realpath(path) for path in TEMPORARY if os.path.isdir(path)}
    view = View([*PRIVATE, *temporary, *spec["hide"]])
    _show_interpreter(view)
    for path in [os.path.dirname(os.path.abspath(__file__)), *_RUNTIME, *spec["keep"]]:
        view.show(path)
    for prefix in spec["prefixes"]:
        view.show_prefix(prefix)
    for name, folder in spec["lent"].items():
        for found in (os.path.join(folder, name), os.path.join(folder, name + ".py")):
            view.show(found)
    if spec["network"]:
        _show_resolver(view)
    homes = os.path.realpath("/home")
    inside = HOME if os.path.isdir(homes) and not any(is_below(path, HOME) for path in view.shown) else work_dir
    own = dict.fromkeys(temporary, tmp_dir)
    own[os.path.join(homes, "work") if inside == HOME else os.path.realpath(work_dir)] = work_dir

    args = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if not spec["network"]:
        args.append("--unshare-net")
    if version >= (0, 8):
        args.append("--disable-userns")  # no root of one's own: most holes in the kernel are open to that one only
    args += ["--die-with-parent", "--cap-drop", "ALL", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    for name in _PROC_READ_ONLY:
        args += ["--ro-bind-try", "/proc/" + name, "/proc/" + name]
    for name in _PROC_CLOSED:
        if os.path.exists("/proc/" + name):
            args += ["--ro-bind", "/dev/null", "/proc/" + name]
    for path in spec["devices"]:
        args += ["--dev-bind-try", path, path]
    if version >= (0, 7) and spec["shm_bytes"]:
        args += ["--perms", "1777", "--size", str(spec["shm_bytes"])]
    args += ["--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
    return args + view.mounts(own), inside
