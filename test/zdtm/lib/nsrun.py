# SPDX-License-Identifier: GPL-2.0-only
"""Init of a pid namespace: nsrun.py FILE PID COMMAND... runs the command, writes its exit status to FILE.rc, stays until all
tasks are gone, and writes the wait status of the task PID to FILE.status."""
import os
import subprocess
import sys

where, pid = sys.argv[1], int(sys.argv[2])


def put(name, number):
    with open(where + '.tmp', 'w') as f:
        f.write(str(number))
    os.rename(where + '.tmp', where + name)


subprocess.run(['ip', 'link', 'set', 'lo', 'up'])
put('.rc', subprocess.run(sys.argv[3:]).returncode)
try:
    while True:
        got, status = os.wait()
        if got == pid:
            put('.status', status)
except ChildProcessError:
    pass
