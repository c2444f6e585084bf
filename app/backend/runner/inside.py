"""Becomes the kernel of a session in a sandbox, or tries whether sandboxes can be had.

Started by path, as the zygote is: `<interpreter> -s inside.py FD`. From the descriptor it reads a JSON object: `fds`
and `shell` for a kernel, or `probe` and `folder`.
"""

import json
import os
import socket
import sys
import types


def main() -> None:
    """Runs whichever is asked for."""
    folder = sys.path.pop(0)
    package = types.ModuleType("_bai_runner")
    package.__path__ = [folder]
    sys.modules["_bai_runner"] = package
    # The namespace of this file must outlive its place in sys.modules.
    package.__dict__["inside_main"] = sys.modules["__main__"]

    fd = int(sys.argv[1])
    with open(fd, closefd=fd > 2) as file:
        said = json.load(file)
    if "probe" in said:
        from _bai_runner import sandbox  # type: ignore[import-not-found]  # made above

        try:
            sandbox.probe(said["probe"], said["folder"])
        except (sandbox.SandboxError, OSError) as exc:
            sys.exit(str(exc))
        return

    from _bai_runner import kernel, warm

    for fd in said["fds"]:
        os.set_inheritable(fd, False)
    shell = warm.build_shell(dict(said["shell"], ipython_dir="/tmp/.ipython-%d" % os.getpid()))
    sock, ack, wake_read, wake_write, out, err = said["fds"]
    kernel.run(shell, socket.socket(fileno=sock), ack, (wake_read, wake_write), out, err)


if __name__ == "__main__":
    main()
