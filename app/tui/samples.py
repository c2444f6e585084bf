"""What the editor shows at the first start, in the language of the session that it would run in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SAMPLE: Final = """\
# ^r runs this in a session of its own: watch it below
import platform
import time

print("hello from Python", platform.python_version())

steps = 24
for step in range(1, steps + 1):
    bar = "█" * step + "░" * (steps - step)
    print(f"\\r\\x1b[36m{bar}\\x1b[0m {step:2}/{steps}", end="", flush=True)
    time.sleep(0.05)
print("  done")
"""
SAMPLES: Final[Mapping[str, str]] = {
    "python": SAMPLE,
    "typescript": """\
// ^r runs this in the session: watch it below
const steps = 24;
console.log("hello from TypeScript");
for (let step = 1; step <= steps; step++) {
  console.log("█".repeat(step) + "░".repeat(steps - step));
  await new Promise((done) => setTimeout(done, 50));
}
""",
    "r": """\
# ^r runs this in the session: watch it below
cat("hello from", R.version.string, "\\n")
steps <- 24
for (step in 1:steps) {
  cat("\\r", strrep("█", step), strrep("░", steps - step), sep = "")
  flush.console()
  Sys.sleep(0.05)
}
cat("  done\\n")
""",
    "julia": """\
# ^r runs this in the session: watch it below
println("hello from Julia ", VERSION)
steps = 24
for step in 1:steps
    print("\\r", "█"^step, "░"^(steps - step))
    flush(stdout)
    sleep(0.05)
end
println("  done")
""",
    "bash": """\
# ^r runs this in the session: watch it below
echo "hello from bash $BASH_VERSION"
for step in 1 2 3 4 5 6 7 8; do
    printf '\\r%s/8' "$step"
    sleep 0.1
done
echo "  done"
""",
    "cpp": """\
// ^r runs this in the session: watch it below
#include <iostream>
std::cout << "hello from C++" << std::endl;
""",
}
"""Language as the editor calls it -> text."""
