#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Moves a redis-server between two hosts while a client reads and writes.

The hosts are network namespaces joined by a veth pair; the destination has a pid namespace of its own, so that
the server's pid is free there. The client sits in a third namespace, with a link to each host, and talks to a
service address that both hosts carry: after the freeze its route is turned to the destination.

How the data is compared while the client writes: the 256 MiB of keys loaded at first are only read by the client, which
knows what each must hold. It writes keys of its own ("live:N") and keeps what was acknowledged. DEBUG DIGEST
is taken when the load is done. After the move every live key is compared with the client's record and deleted;
then DEBUG DIGEST on the destination, which covers all keys, must be the one taken on the source.
"""
import argparse
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SERVICE = '10.99.9.9'
PORT = 6379
VALUE = 1024
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BLOB = None


class Redis:
    """The little of the Redis protocol (RESP) that is needed here."""

    def __init__(self, host, port, timeout):
        self.sock = socket.create_connection((host, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b''

    def close(self):
        self.sock.close()

    def fill(self):
        data = self.sock.recv(1 << 16)
        if not data:
            raise ConnectionResetError('closed by the server')
        self.buf += data

    def line(self):
        while b'\r\n' not in self.buf:
            self.fill()
        line, self.buf = self.buf.split(b'\r\n', 1)
        return line

    def answer(self):
        line = self.line()
        kind, rest = line[:1], line[1:]
        if kind == b'-':
            raise RuntimeError(rest.decode())
        if kind == b'*':
            return [self.answer() for _ in range(int(rest))]
        if kind != b'$':
            return rest
        size = int(rest)
        if size < 0:
            return None
        while len(self.buf) < size + 2:
            self.fill()
        value, self.buf = self.buf[:size], self.buf[size + 2:]
        return value

    def send(self, *commands):
        out = []
        for words in commands:
            out.append(b'*%d\r\n' % len(words))
            for w in words:
                w = w if isinstance(w, bytes) else str(w).encode()
                out.append(b'$%d\r\n%b\r\n' % (len(w), w))
        self.sock.sendall(b''.join(out))

    def __call__(self, *words):
        self.send(words)
        return self.answer()


def value_of(i):
    """What key i holds: a window of one random block (the same in every process), and its number."""
    global BLOB
    if BLOB is None:
        import random
        BLOB = random.Random(20).randbytes(1 << 20)
    at = i * 2654435761 % (len(BLOB) - VALUE)
    return b'%012d' % i + BLOB[at:at + VALUE - 12]


# ---- the client: its own process, in its own namespace ----

def client(nr_keys, timeout):
    conn, live, n = None, {}, 0
    stats = {'requests': 0, 'writes': 0, 'connects': 0, 'wrong': 0, 'gap': 0.0, 'gap_at': 0.0}
    last = time.monotonic()
    while not select.select([0], [], [], 0)[0]:
        n += 1
        try:
            if conn is None:
                conn = Redis(SERVICE, PORT, timeout)
                stats['connects'] += 1
            key = n * 40503 % nr_keys
            if n % 2:
                stats['wrong'] += conn('GET', 'key:%d' % key) != value_of(key)
            else:
                # a write without an answer may have happened or not; it is sent again until it is acknowledged
                slot, value = 'live:%d' % (n // 2 % 1000), '%d' % (n // 2)
                conn('SET', slot, value)
                live[slot] = value
                stats['writes'] += 1
        except (OSError, ConnectionError):
            if conn:
                conn.close()
            conn = None
            n -= 1
            time.sleep(0.0005)
            continue
        now = time.monotonic()
        if now - last > stats['gap']:
            stats['gap'], stats['gap_at'] = now - last, now
        last = now
        stats['requests'] += 1
        if stats['requests'] == 1:
            print('ready', flush=True)
        time.sleep(0.0002)
    conn = conn or Redis(SERVICE, PORT, 5)
    stats['lost'] = 0
    conn.sock.settimeout(30)
    for slot, value in live.items():
        stats['lost'] += conn('GET', slot) != value.encode()
        conn('DEL', slot)
    stats['digest'] = conn('DEBUG', 'DIGEST').decode()
    stats['keys'] = int(conn('DBSIZE'))
    print(json.dumps(stats))


# ---- the move ----

class Stop(Exception):
    pass


class Demo:
    def __init__(self, args):
        self.a = args
        tag = 'cd%d' % os.getpid()
        self.src, self.dst, self.cli = tag + 's', tag + 'd', tag + 'c'
        self.procs, self.nets = [], []
        self.work = tempfile.mkdtemp(prefix='criu-demo.', dir='/dev/shm' if os.path.isdir('/dev/shm') else None)
        self.img, self.dimg = self.work + '/src', self.work + '/dst'
        os.mkdir(self.img)

    def sh(self, *cmd):
        p = subprocess.run(cmd, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if p.returncode:
            raise Stop('%s: %s' % (' '.join(cmd), p.stderr.strip()))
        return p.stdout

    def spawn(self, *cmd, **kw):
        kw.setdefault('stdin', subprocess.DEVNULL)
        kw.setdefault('stdout', subprocess.DEVNULL)
        p = subprocess.Popen(cmd, start_new_session=True, **kw)
        self.procs.append(p)
        return p

    def on(self, net):
        return ['nsenter', '--net=/run/netns/' + net]

    def link(self, a, b, subnet):
        """A veth pair: SUBNET.1 at A, SUBNET.2 at B."""
        ends = ['%s%s' % (a[:-1], a[-1] + b[-1]), '%s%s' % (a[:-1], b[-1] + a[-1])]
        self.sh('ip', 'link', 'add', ends[0], 'netns', a, 'type', 'veth', 'peer', 'name', ends[1], 'netns', b)
        for net, end, nr in ((a, ends[0], 1), (b, ends[1], 2)):
            self.sh('ip', '-n', net, 'addr', 'add', '%s.%d/24' % (subnet, nr), 'dev', end)
            self.sh('ip', '-n', net, 'link', 'set', end, 'up')
        return ends

    def hosts(self):
        for net in (self.src, self.dst, self.cli):
            self.sh('ip', 'netns', 'add', net)
            self.nets.append(net)
            self.sh('ip', '-n', net, 'link', 'set', 'lo', 'up')
        self.wire = self.link(self.src, self.dst, '10.99.0')[0]
        self.link(self.src, self.cli, '10.99.1')
        self.link(self.dst, self.cli, '10.99.2')
        for net in (self.src, self.dst):
            self.sh('ip', '-n', net, 'addr', 'add', SERVICE + '/32', 'dev', 'lo')
        self.route('10.99.1.1')
        # the destination's first process: it keeps the pid namespace
        self.init = self.spawn(*self.on(self.dst), 'unshare', '--pid', '--fork', '--kill-child', '--mount-proc',
                               'sh', '-c', 'echo $$; exec sleep 600', stdout=subprocess.PIPE)
        self.init.stdout.readline()
        kids = open('/proc/%d/task/%d/children' % (self.init.pid, self.init.pid)).read().split()
        self.in_dst = ['nsenter', '-t', kids[0], '-p', '-m', '-n', '--']

    def route(self, via):
        self.sh('ip', '-n', self.cli, 'route', 'replace', SERVICE, 'via', via)

    def load(self):
        """Starts the server and fills it through its UNIX socket: the source's network stays out of it."""
        home = self.work + '/redis'
        os.mkdir(home)
        log = open(home + '/log', 'w')
        self.redis = self.spawn(*self.on(self.src), 'redis-server', '--bind', '0.0.0.0', '--port', str(PORT),
                                '--protected-mode', 'no', '--save', '', '--appendonly', 'no', '--dir', home,
                                '--enable-debug-command', 'yes', '--daemonize', 'no', stdout=log, stderr=log)
        log.close()
        nr = self.a.size * (1 << 20) // VALUE
        out = self.sh(*self.on(self.src), sys.executable, os.path.abspath(__file__), '--load', str(nr))
        self.digest = out.split()[-1]
        return nr

    def ready_pipe(self, cmd, what, **kw):
        """Starts CMD and waits for the byte on its --status-fd."""
        r, w = os.pipe()
        os.set_inheritable(w, True)
        p = self.spawn(*cmd, '--status-fd', str(w), pass_fds=[w], **kw)
        os.close(w)
        ok = select.select([r], [], [], 30)[0] and os.read(r, 1) == b'\0'
        os.close(r)
        if not ok:
            raise Stop('%s did not get ready' % what)
        return p

    def wait(self, p, what, timeout=60):
        try:
            rc = p.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Stop('%s did not end in %d s' % (what, timeout)) from None
        if rc:
            raise Stop('%s ended with status %d' % (what, rc))

    def migrate(self):
        criu, at = [self.a.criu], ['--address', '10.99.0.1', '--port', '9876']
        t0 = time.monotonic()
        dump = self.ready_pipe(self.on(self.src) + criu + ['dump', '-t', str(self.redis.pid), '-D', self.img, '-o', 'dump.log',
                               '-v4' if self.a.verbose else '-v2', '--tcp-close', '--lazy-pages'] + at, 'dump')
        self.route('10.99.2.1')
        t1 = time.monotonic()
        shutil.copytree(self.img, self.dimg)
        self.copied = sum(e.stat().st_size for e in os.scandir(self.dimg))
        stats = open(self.work + '/stats', 'w+')
        lazy = self.ready_pipe(self.on(self.dst) + criu + ['lazy-pages', '--page-server', '-D', self.dimg, '-o', 'lazy.log', '--display-stats',
                               '-v4' if self.a.verbose else '-v2'] + at, 'lazy-pages', stdout=stats)
        t2 = time.monotonic()
        self.sh(*self.in_dst, *criu, 'restore', '--lazy-pages', '-D', self.dimg, '-o', 'restore.log',
                '-v4' if self.a.verbose else '-v2', '--tcp-close', '-d')
        t3 = time.monotonic()
        self.wait(lazy, 'lazy-pages')
        t4 = time.monotonic()
        self.wait(dump, 'dump')
        stats.seek(0)
        self.stats = stats.read()
        self.times = {'dump': t1 - t0, 'hand-over': t2 - t1, 'restore': t3 - t2, 'pages': t4 - t3, 'total': t4 - t0}

    def run(self):
        began = time.monotonic()
        self.hosts()
        print('loading %d MiB into redis-server on the source...' % self.a.size, flush=True)
        nr = self.load()
        rss = int(re.search(r'VmRSS:\s+(\d+)', open('/proc/%d/status' % self.redis.pid).read()).group(1)) // 1024
        cl = self.spawn(*self.on(self.cli), sys.executable, os.path.abspath(__file__), '--client', str(nr),
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if cl.stdout.readline() != 'ready\n':
            raise Stop('the client found no server')
        time.sleep(0.5)
        sent = self.sent()
        print('moving it while a client reads and writes...', flush=True)
        self.migrate()
        sent = self.sent() - sent
        time.sleep(0.5)
        cl.stdin.write('stop\n')
        cl.stdin.flush()
        if not select.select([cl.stdout], [], [], 60)[0]:
            raise Stop('the client did not come to its end')
        c = json.loads(cl.stdout.readline() or '{}')
        if not c:
            raise Stop('the client failed')
        ok = c['digest'] == self.digest and not c['lost'] and not c['wrong'] and c['keys'] == nr and c['connects'] > 1
        self.table(c, rss, sent, time.monotonic() - began)
        return ok

    def sent(self):
        link = json.loads(self.sh('ip', '-n', self.src, '-s', '-j', 'link', 'show', 'dev', self.wire))
        return link[0]['stats64']['tx']['bytes']

    def table(self, c, rss, sent, took):
        ms = lambda s: '%.1f ms' % (s * 1000)
        rows = [('downtime seen by the client', ms(c['gap']) + ' (longest time without an answer)'),
                ('total time', '%.2f s (dump %s, copy and lazy-pages %s, restore %s, then all pages in %s)' % (
                    self.times['total'], *(ms(self.times[k]) for k in ('dump', 'hand-over', 'restore', 'pages')))),
                ('server memory', '%d MiB' % rss),
                ('images copied first', '%.1f KiB' % (self.copied / 1024)),
                ('sent by the source', '%.1f MiB' % (sent / (1 << 20)))]
        rows += self.lazy_rows()
        rows += [('client', '%d requests, %d writes, %d connections, %d wrong answers, %d writes lost' % (
                    c['requests'], c['writes'], c['connects'], c['wrong'], c['lost'])),
                 ('DEBUG DIGEST', '%s (%d keys): %s' % (c['digest'][:12], c['keys'],
                    'equal on both hosts' if c['digest'] == self.digest else 'WAS ' + self.digest[:12])),
                 ('the whole demo took', '%.1f s' % took)]
        print()
        for name, value in rows:
            print('  %-34s%s' % (name, value))
        print()

    def lazy_rows(self):
        """What lazy-pages --display-stats said, in the demo's words."""
        names = {'Page faults': 'pages faulted', 'Pages brought by faults': 'pages fetched for faults', 'Pages brought in the background': 'pages pushed',
                 'Bytes': 'bytes received', 'Fault latency': 'fault latency'}
        said = dict(l.strip().split(': ', 1) for l in self.stats.splitlines() if ': ' in l)
        return [(name, said[key].split(' (')[0]) for key, name in names.items() if key in said]

    def logs(self):
        for name in ('src/dump.log', 'dst/lazy.log', 'dst/restore.log', 'redis/log'):
            path = os.path.join(self.work, name)
            if os.path.exists(path):
                tail = open(path, errors='replace').readlines()[-(200 if self.a.verbose else 8):]
                print('-- %s\n%s' % (name, ''.join(tail)), file=sys.stderr)

    def clean(self):
        for p in reversed(self.procs):
            if p.poll() is None:
                p.kill()
        for p in self.procs:
            p.wait()
        for net in self.nets:
            subprocess.run(['ip', 'netns', 'del', net], stderr=subprocess.DEVNULL)
        if self.a.keep:
            print('kept: ' + self.work)
        else:
            shutil.rmtree(self.work, ignore_errors=True)


def load(nr):
    deadline = time.monotonic() + 10
    while True:
        try:
            r = Redis('127.0.0.1', PORT, 60)
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    for first in range(0, nr, 1000):
        part = range(first, min(nr, first + 1000))
        r.send(*(('SET', 'key:%d' % i, value_of(i)) for i in part))
        for _ in part:
            r.answer()
    print(r('DEBUG', 'DIGEST').decode())


def on_signal(signo, frame):
    raise KeyboardInterrupt


def main():
    ap = argparse.ArgumentParser(description='Move a redis-server between two hosts, lazily.')
    ap.add_argument('--criu', default=os.path.join(ROOT, 'criu/criu'))
    ap.add_argument('--size', type=int, default=256, help='MiB of keys')
    ap.add_argument('--keep', action='store_true', help='keep images and logs')
    ap.add_argument('-v', '--verbose', action='store_true', help='full logs where it fails')
    ap.add_argument('--client', type=int, help=argparse.SUPPRESS)
    ap.add_argument('--load', type=int, help=argparse.SUPPRESS)
    a = ap.parse_args()
    if a.client:
        return client(a.client, 0.02)
    if a.load:
        return load(a.load)
    for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signo, on_signal)
    ok, d = False, Demo(a)
    try:
        ok = d.run()
        print('demo: %s' % ('done, nothing lost' if ok else 'FAILED: see the table'))
    except KeyboardInterrupt:
        print('demo: stopped', file=sys.stderr)
    except (Stop, OSError, ValueError) as e:
        d.logs()
        print('demo: FAILED: %s' % e, file=sys.stderr)
    finally:
        for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signo, signal.SIG_IGN)
        d.clean()
    return 0 if ok else 1


if __name__ == '__main__':
    sys.exit(main())
