# SPDX-License-Identifier: GPL-2.0-only
"""The tests that there are: their names, what their descriptors say (see zdtm.py), and how they are built."""
import ast
import fnmatch
import glob
import os
import re
import subprocess
import sys

SRC = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def all_tests():
    return sorted(os.path.relpath(p, SRC)[:-2] for d in ('static', 'transition') for p in glob.glob('%s/%s/*.c' % (SRC, d)))


def descriptor(name):
    try:
        with open('%s/%s.desc' % (SRC, name)) as f:
            d = ast.literal_eval(f.read())
    except FileNotFoundError:
        d = {}
    d['flags'] = set(d.get('flags', '').split())
    return d


def matching(patterns):
    out = []
    for p in patterns:
        p = re.sub(r'^(.*/)?zdtm/', '', re.sub(r'\.c$', '', p))
        found = [t for t in all_tests() if fnmatch.fnmatch(t, p) or fnmatch.fnmatch(t.split('/')[1], p)]
        if not found:
            sys.exit('zdtm.py: no test is called %s' % p)
        out += [t for t in found if t not in out]
    return out


def newer(target, sources):
    try:
        made = os.stat(target).st_mtime
        return all(os.stat(s).st_mtime <= made for s in sources)
    except FileNotFoundError:
        return False


def build(tests, out):
    """compiles what is not up to date, two at a time: each test with all of lib/"""
    lib = glob.glob(SRC + '/lib/*.[ch]')
    shared = [p for p in lib if p.endswith('.c') and not p.endswith('/nsinit.c')]  # that one is a program
    objects = ['%s/lib/%s.o' % (out, os.path.basename(p)[:-2]) for p in shared]
    jobs, failed = [], {}

    def reap(limit):
        while len(jobs) > limit:
            name, p = jobs.pop(0)
            text = p.communicate()[0]
            if p.returncode:
                failed[name] = text.decode(errors='replace')
    flags = ['-std=gnu11', '-D_GNU_SOURCE', '-O2', '-g', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter', '-I', SRC + '/lib']
    os.makedirs(out + '/lib', exist_ok=True)
    if not all(newer(o, lib) for o in [*objects, out + '/lib/nsinit']):
        for args in (['-c', *shared], ['-o', 'nsinit', SRC + '/lib/nsinit.c', *objects]):
            if subprocess.run(['gcc', *flags, *args], cwd=out + '/lib').returncode:
                sys.exit('zdtm.py: what the tests share does not compile')
    for t in tests:
        target, src = '%s/%s' % (out, t), '%s/%s.c' % (SRC, t)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if newer(target, lib + [src]):
            continue
        tmp = target + '.%d' % os.getpid()
        p = subprocess.Popen('gcc %s -o %s %s %s -pthread -lrt -lutil -lm && mv %s %s' % (
            ' '.join(flags), tmp, src, ' '.join(objects), tmp, target), shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        jobs.append((t, p))
        reap(1)
    reap(0)
    return failed
