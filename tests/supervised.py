"""A supervisor over toy programs, in a process of its own: `python supervised.py FOLDER NAME...`.

Each NAME is a way to behave; every program writes its pid, a line a start, to FOLDER/NAME.
"""

import sys
from pathlib import Path

from botsite.platform.supervisor import Backoff, Program, Supervisor

BEHAVIOUR = {
    # Ends at once, with a failure.
    "dies": "sys.exit(3)",
    # Dies the first time, ends well the second time.
    "once": "sys.exit(len(open(sys.argv[1]).readlines()) == 1)",
    # Stops when asked.
    "obeys": "time.sleep(60)",
    # Has a child, and neither of them stops when asked.
    "refuses": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.fork() == 0: open(sys.argv[1], 'a').write(f'{os.getpid()} {time.time()}\\n')\n"
        "time.sleep(60)"
    ),
}
PROGRAM = (
    "import os, signal, sys, time\n"
    "def stop(*_):\n"
    "    with open(sys.argv[1] + '.end', 'w') as file: file.write(str(time.time()))\n"
    # At once: an exception would be lost where the signal arrives while a file is being closed.
    "    os._exit(0)\n"
    "signal.signal(signal.SIGTERM, stop)\n"
    "open(sys.argv[1], 'a').write(f'{os.getpid()} {time.time()}\\n')\n"
)


def main(folder: str, *names: str) -> int:
    programs = [
        Program(
            name=name,
            argv=[
                sys.executable,
                "-c",
                PROGRAM + BEHAVIOUR[name.split("-")[0]],
                f"{folder}/{name}",
            ],
            grace_seconds=0.5,
            once=name.startswith("once") or name == "dies-once",
        )
        for name in names
    ]
    supervisor = Supervisor(programs, backoff=Backoff(first=0.2, most=0.8, healthy=60))
    Path(folder, "supervisor").touch()
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
