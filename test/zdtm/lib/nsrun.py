# SPDX-License-Identifier: GPL-2.0-only
"""Init of a pid namespace: nsrun.py FILE COMMAND... runs the command, writes its exit status to FILE, stays until all are gone."""
import os
import subprocess
import sys

rc = subprocess.run(sys.argv[2:]).returncode
with open(sys.argv[1] + '.tmp', 'w') as f:
    f.write(str(rc))
os.rename(sys.argv[1] + '.tmp', sys.argv[1])
last = 0
try:
    while True:
        last = os.wait()[1]
except ChildProcessError:
    pass
sys.exit(1 if last else 0)
