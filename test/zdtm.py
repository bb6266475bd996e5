#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the tests in test/zdtm: each is started, checkpointed, restored, and asked whether it is still what it was.

    zdtm.py run -t static/eventfd            one test (names may be globs; -a: all of them)
    zdtm.py run -a -p 2 --lazy-pages         all, two at a time, restored with lazy pages from local images
    zdtm.py run -a --nocr                    without checkpoint: are the tests themselves right?
    zdtm.py run -a --sabotage                ... and can they fail? each damages its own state and must notice
    zdtm.py list

Besides the test's own verdict the runner compares what /proc shows of every task before and after (lib/procstate.py), the
contents of their memory, and looks for anything left over. A test NAME.c may have a descriptor NAME.desc, a Python dict:
    flags     words: suid (only as root), nolazy, nomigrate (source
              and destination on one host are in each other's way), nonorst, nouser (not in user namespaces), busy (its state in /proc keeps
              changing: no comparison), nomem (memory changes), crfail (dump must refuse), mayrefuse (dump may), nosab, noiters, excl (alone)
    crfail    regular expression that dump's error must match
    warns     regular expressions; dump must warn with each of them
    opts, dopts, ropts    criu options for both, dump only, restore only
    feature   words for 'criu check --feature'
    ignore    regular expressions of parts of the /proc state that may change
    time      seconds that the test may take after SIGTERM (default 20)
    needs     commands that must be installed
    nsskip    why criu may refuse it in -f ns or -f uns
The last line is 'N passed, N failed, N skipped'; the exit status is 1 where a test failed.
"""
import argparse
import os
import signal
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TOP + '/test/zdtm/lib')
sys.dont_write_bytecode = True
from scheduler import Scheduler  # noqa: E402
from tests import all_tests, build, descriptor, matching  # noqa: E402

USER = 18943


def jobs_for(o):
    tests = all_tests() if o.all or not o.test else matching(o.test)
    out_of = matching(o.exclude) if o.exclude else []
    lazy = o.lazy_pages or o.remote_lazy_pages or o.lazy_migrate
    for t in tests:
        flags = descriptor(t)['flags']
        skip = t in out_of or (o.lazy_migrate and 'nomigrate' in flags) or (lazy and flags & {'nolazy', 'crfail', 'mayrefuse'}) or ((o.norst or o.snaps) and 'nonorst' in flags) \
            or (o.sabotage and flags & {'nosab'}) or (o.flavour == 'uns' and 'nouser' in flags)
        if skip:
            continue
        users = [o.user] if o.user is not None else [0, USER]
        for u in users:
            if u and ('suid' in flags or o.flavour != 'h'):
                continue
            yield {'name': t, 'user': u, 'flavour': o.flavour, 'excl': 'excl' in flags}


def arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(dest='cmd', required=True)
    r = sub.add_parser('run', help='run tests')
    r.add_argument('-t', '--test', action='append', default=[], metavar='NAME')
    r.add_argument('-a', '--all', action='store_true')
    r.add_argument('-x', '--exclude', action='append', default=[], metavar='NAME')
    r.add_argument('-f', '--flavour', '--flavor', choices=['h', 'ns', 'uns'], default='h', help='host, namespaces, with user namespace')
    r.add_argument('--user', type=int, help='run as this uid only (default: as root, and as %d where the test can)' % USER)
    r.add_argument('--criu', default=TOP + '/criu/criu')
    r.add_argument('-p', '--parallel', type=int, default=1, metavar='N')
    r.add_argument('-k', '--keep-img', action='store_true')
    r.add_argument('--keep-going', action='store_true')
    r.add_argument('--dry-run', action='store_true')
    r.add_argument('--iters', type=int, default=1, help='checkpoint and restore N times')
    r.add_argument('--pre', type=int, default=0, help='so many pre-dumps before each dump')
    r.add_argument('--nocr', action='store_true', help='no checkpoint')
    r.add_argument('--norst', action='store_true', help='dump --leave-running, no restore')
    r.add_argument('--snaps', action='store_true', help='the same with --track-mem')
    r.add_argument('--sat', action='store_true', help='criu under strace, traces beside the images')
    r.add_argument('--sabotage', action='store_true', help='no checkpoint; the test damages its own state and must notice')
    r.add_argument('--nocheck', action='store_true', help='do not compare /proc before and after')
    r.add_argument('--fault', help='CRIU_FAULT for a first dump, which must fail and harm nothing')
    for m in ('lazy-pages', 'remote-lazy-pages', 'lazy-migrate', 'page-server'):
        r.add_argument('--' + m, action='store_true')
    sub.add_parser('list', help='list the tests')
    o = ap.parse_args()
    if o.cmd == 'run':
        o.criu, o.build = os.path.abspath(o.criu), TOP + '/build/zdtm'
    return o


def main():
    o = arguments()
    if o.cmd == 'list':
        for t in all_tests():
            d = descriptor(t)
            print(('%-40s %s' % (t, ' '.join(sorted(d['flags'])))).rstrip())
        return 0
    jobs = list(jobs_for(o))
    if o.dry_run:
        for j in jobs:
            print('%s %s uid %d' % (j['name'], j['flavour'], j['user']))
        return 0
    if os.getuid():
        sys.exit('zdtm.py: must be root')
    if not (o.nocr or o.sabotage) and not os.access(o.criu, os.X_OK):
        sys.exit('zdtm.py: %s is not there: run make' % o.criu)
    s = Scheduler(o)
    failed = build(sorted({j['name'] for j in jobs}), o.build)
    for name, text in failed.items():
        s.say({'name': name, 'flavour': o.flavour, 'user': 0}, 'FAIL', 'does not compile\n' + text, 0)
    # Ctrl-C ends the children too: each cleans up after itself
    signal.signal(signal.SIGTERM, lambda *_: (signal.signal(signal.SIGTERM, signal.SIG_IGN), sys.exit(1)))
    return s.run(j for j in jobs if j['name'] not in failed)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(1)
