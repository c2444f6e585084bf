"""Who runs more processes and threads than it may, where nothing in the system refuses them: ended at once. Pure.

Looked at once a second, after the fact: a number that grows faster than that is over its limit for so long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def watching(max_tasks: int) -> str:
    """Returns what the details of a session say of this."""
    return (
        f"ends the session when it runs more than {max_tasks} processes and threads, counted once a second; what is "
        "started until then is started"
    )


def over(counts: Mapping[str, int], max_tasks: int) -> Iterator[tuple[str, str]]:
    """Yields (session id, why it is to be ended).

    Args:
        counts: session id -> processes and threads.
        max_tasks: 0 = no limit.
    """
    for session_id, count in counts.items():
        if 0 < max_tasks < count:
            yield (
                session_id,
                f"overuse: runs {count} processes and threads of its {max_tasks}; let the code start fewer, or raise "
                "max_tasks under [sandbox] in config.toml",
            )
