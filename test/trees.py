# SPDX-License-Identifier: GPL-2.0-only
"""Trees of processes that know what their memory must hold (test/precopy/churn.c, writer.c, many.c), and what it takes to migrate
them: for suites in test/check.d."""
import glob
import json
import mmap
import os
import socket
import struct
import subprocess
import threading
import time

import world
from world import CRIU, ROOT, Fail, check, kill_tree, running_criu

HELLO = 0x2000
IN_PIDNS = ('unshare', '-p', '-f', '--mount-proc')


def built(name):
    binary = os.path.join(world.BIN, name)
    if not os.path.exists(binary):
        parts = [p for pattern in ('.c', '_*.c') for p in glob.glob('%s/test/precopy/%s%s' % (ROOT, name, pattern))]
        subprocess.run(['cc', '-O2', '-Wall', '-pthread', '-o', binary, *parts], check=True)
    return binary


class Tree:
    """A running churn (or what ARGS say), seen through its state file."""

    def __init__(self, w, seed=1, pause_us=300, procs=4, args=None, ready=1):
        args = args or ['churn', seed, pause_us, procs]
        self.path = os.path.join(w.dir, 'state')
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.p = world.detached(built(args[0]), self.path, *map(str, args[1:]))
        self.pid, self.restored, self.before = self.p.pid, None, trackers()
        w.tasks.append(self)
        wait(lambda: os.path.exists(self.path) and os.path.getsize(self.path) >= 4096, 'the workload started')
        self.f = open(self.path, 'r+b')
        self.m = mmap.mmap(self.f.fileno(), 4096)
        wait(lambda: self.word(2) >= ready, 'it filled its memory', 60)

    def word(self, i):
        return struct.unpack_from('Q', self.m, 8 * i)[0]

    def slots(self):
        return [struct.unpack_from('QQQ', self.m, 128 + 24 * i) for i in range(64)]

    def operations(self):
        return sum(counter for _, _, counter in self.slots())

    def verify(self, what, seconds=20):
        """Every process has looked at all of its memory, and goes on."""
        want = self.word(0) + 1
        struct.pack_into('Q', self.m, 0, want)
        wait(lambda: self.word(1) or all(not used or done == want for used, done, _ in self.slots()), what + ': all verified', seconds)
        if self.word(1):
            time.sleep(0.2)    # it is counted before it is described
        check(not self.word(1), '%s: %d bad: %s' % (what, self.word(1), self.m[24:120].split(b'\0')[0].decode()))

    def kill(self):
        for p in (self.p, self.restored):
            if p:
                kill_tree(p.pid)
                p.wait()
        wait(lambda: not trackers() - self.before, 'the tracker ends with its tree')
        self.m.close()
        self.f.close()


def by_another_criu(img):
    """The images say no more that their server knows the extensions: as of a CRIU that has none."""
    path, crit = img + '/inventory.img', os.path.join(os.path.dirname(world.CRIU), 'crit/crit')
    d = json.loads(subprocess.run([crit, 'decode', '-i', path], capture_output=True, check=True).stdout)
    d['entries'][0].pop('serves_extended', None)
    subprocess.run([crit, 'encode', '-o', path], input=json.dumps(d), text=True, check=True)


class Proxy:
    """
    Counts what comes back from a server, on any number of connections. PLAIN: who says hello is turned away, as by a server that does not
    know the extensions; or, where it is a number, so many times. RATE: bytes a second that come through one connection, 0: as they come.
    """

    def __init__(self, port, plain=False, rate=0):
        self.to, self.plain, self.rate, self.down, self.socks = int(port), plain, rate, 0, []
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = str(self.listener.getsockname()[1])
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                a, _ = self.listener.accept()
            except OSError:
                return
            if self.plain and struct.unpack('H', a.recv(2, socket.MSG_PEEK)) == (HELLO,):
                a.close()
                self.plain = self.plain if self.plain is True else self.plain - 1
                continue
            try:
                b = socket.create_connection(('127.0.0.1', self.to))
            except ConnectionRefusedError:
                a.close()
                continue
            for s in (a, b):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socks += [a, b]
            threading.Thread(target=self.pump, args=(a, b, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(b, a, True), daemon=True).start()

    def pump(self, a, b, count):
        try:
            while data := a.recv(1 << 16 if self.rate else 1 << 18):
                b.sendall(data)
                if count:
                    self.down += len(data)
                    time.sleep(len(data) / self.rate if self.rate else 0)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for s in [self.listener, *self.socks]:
            s.close()


def wait(cond, what, seconds=20):
    world.wait(cond, 'timeout: ' + what, seconds)


def ok(r, what):
    check(r.rc == 0, '%s: %s' % (what, r))
    return r


def trackers():
    return {p for p in running_criu() if any(b'tracking' in w for w in world.cmdline(p))}


def new_dir(w, *names):
    path = os.path.join(w.dir, *names)
    os.makedirs(path)
    return path


def serving(w, *args):
    """A server of ours that says when it is ready, and its port."""
    r, wr = os.pipe()
    p = w.spawn(*args, '--status-fd', wr, pass_fds=[wr])
    os.close(wr)
    byte = os.read(r, 1)
    os.close(r)
    check(byte == b'\0', '%s was never ready: %s' % (args[0], byte or p.stdout.read()))
    return p


def ended_well(p, what, seconds=30):
    rc = p.wait(seconds)
    check(rc == 0, '%s ended with %d: %s' % (what, rc, p.stdout.read()))


def log_end(path):
    try:
        return ''.join(open(path, errors='replace').readlines()[-5:])
    except OSError as e:
        return str(e)


def restore(w, t, path, *opts, first=None):
    """In a pid namespace of its own: the pids are free there. FIRST is called before the tasks verify their memory."""
    t.restored = subprocess.Popen([*IN_PIDNS, CRIU, 'restore', '-D', path, '-o', 'restore.log', '-v4', *opts], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if first:
            first()
        t.verify('restored from ' + path)
    except Fail as e:
        raise Fail('%s (restore: %s)\n%s' % (e, t.restored.poll(), log_end(path + '/restore.log')))


def restore_lazily(w, t, path, *source):
    lp = serving(w, 'lazy-pages', '-D', path, *source)
    restore(w, t, path, '--lazy-pages')
    ended_well(lp, 'lazy-pages')
