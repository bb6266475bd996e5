# SPDX-License-Identifier: GPL-2.0-only
"""What the suites of crit share (test/check.d/1?-crit*): crit itself, a directory for what they make, a chain of checkpoints, and how their tests are run."""
import os
import shutil
import subprocess
import sys
import tempfile

import images as im
from world import ROOT, Fail, Skip

CRIT = os.path.join(ROOT, 'criu/crit/crit')
SHARED = os.environ.get('CRIU_SHARED', os.path.join(ROOT, '../shared'))
FIXTURES = os.path.join(SHARED, 'fixtures/criu-4.2')
TMP = tempfile.mkdtemp(prefix='crit-test-')


def crit(*args, stdin=None, fails=False):
    """Runs crit; its standard output. FAILS: it must end with 1 and say something, which is returned."""
    p = subprocess.run([CRIT, *map(str, args)], input=stdin, capture_output=True)
    if fails:
        assert p.returncode == 1, 'crit %s: status %d, not 1: %s' % (args, p.returncode, p.stderr)
        assert p.stderr or p.stdout, 'crit %s failed without a word' % (args,)
        return (p.stderr + p.stdout).decode()
    assert p.returncode == 0, 'crit %s: status %d: %s' % (args, p.returncode, p.stderr.decode())
    return p.stdout


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def put(name, data):
    path = os.path.join(TMP, name)
    with open(path, 'wb') as f:
        f.write(data)
    return path


def same(a, b, what):
    if a != b:
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        raise AssertionError('%s differ at %d: %r, not %r' % (what, at, a[at - 20:at + 20], b[at - 20:at + 20]))


def chain(name):
    """A checkpoint whose pages are partly in a parent, and partly in the parent's parent."""
    base = im.Checkpoint(os.path.join(TMP, name + '-0'))
    base.run(im.FILE_AT, im.pages(1, 2, 3))
    base.run(im.LAZY_AT, im.pages(*range(100, 140)), 6)
    base.write()
    mid = im.Checkpoint(os.path.join(TMP, name + '-1'), parent=base.path)
    mid.run(im.FILE_AT, 2, 1)
    mid.run(im.LAZY_AT, 10, 1)
    mid.run(im.LAZY_AT + 10 * 4096, im.pages(*range(210, 220)), 6)
    mid.write()
    top = im.Checkpoint(os.path.join(TMP, name), parent=mid.path)
    top.run(im.FILE_AT, 2, 1)
    top.run(im.FILE_AT + 8192, im.pages(33))
    top.run(im.BSS_AT, im.pages(41, 42))
    top.run(im.LAZY_AT, 15, 1)
    top.run(im.LAZY_AT + 20 * 4096, im.pages(*range(320, 330)), 6)
    top.run(im.STACK_AT + 8 * 4096, im.pages(5, 6), 6)
    top.run(im.VDSO_AT, im.pages(7, 8))
    top.write()
    return top


def main(names):
    """Runs the tests (functions test_NAME) of a suite's NAMES, or those that are named on the command line; ends with N passed, N failed, N skipped."""
    tests = [(n[5:], f) for n, f in names.items() if n.startswith('test_') and (len(sys.argv) < 2 or n[5:] in sys.argv[1:])]
    count = dict.fromkeys(('PASS', 'FAIL', 'SKIP'), 0)
    try:
        for name, f in tests:
            try:
                f()
                result, why = 'PASS', ''
            except Skip as e:
                result, why = 'SKIP', ' (%s)' % e
            except (AssertionError, Fail, OSError, ValueError, subprocess.SubprocessError) as e:
                result, why = 'FAIL', ': %s: %s' % (type(e).__name__, str(e)[:2000])
            count[result] += 1
            print('%s crit %s%s' % (result, name, why), flush=True)
    finally:
        shutil.rmtree(TMP)
    print('%(PASS)d passed, %(FAIL)d failed, %(SKIP)d skipped' % count)
    return count['FAIL'] > 0
