# SPDX-License-Identifier: GPL-2.0-only
"""A crowd of tasks on its way from one place to another, of which one can say at every instant who runs, who stands, and who is dead: for
suites in test/check.d in which something dies."""
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import world
from world import Fail, check, compiled, detached, family, kill_tree, wait

HERE = '127.0.0.1'

# Three processes of three threads. Each thread counts, and looks at a part of its process's memory; a process that finds a wrong byte, or whose
# pending SIGCONT is not there any more, says so.
CROWD = r'''
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#define SIZE (6UL << 20)
#define BYTE(i) (unsigned char)((i) * 31 + ((i) >> 12))
static volatile uint64_t *out;
static unsigned char *mem;
static int me;
static void *work(void *arg)
{
	size_t part = (size_t)arg, at = 0;
	sigset_t pending;
	for (;;) {
		size_t i = part * SIZE / 3 + at;
		if (mem[i] != BYTE(i))
			out[63]++;
		at = (at + 4099) % (SIZE / 3);
		sigpending(&pending);
		if (!me && !sigismember(&pending, SIGCONT))
			out[62]++;
		out[3 * me + part]++;
		usleep(500);
	}
}
int main(int argc, char **argv)
{
	int fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	pthread_t t;
	sigset_t set;
	if (ftruncate(fd, 4096))
		return 1;
	out = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	mem = mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < SIZE; i++)
		mem[i] = BYTE(i);
	if (!fork())
		me = 1;
	else if (!fork())
		me = 2;
	if (!me) {
		sigemptyset(&set);
		sigaddset(&set, SIGCONT);
		sigprocmask(SIG_BLOCK, &set, 0);
		kill(getpid(), SIGCONT);
	}
	for (size_t i = 1; i < 3; i++)
		pthread_create(&t, 0, work, (void *)i);
	work(0);
}
'''


class Proxy:
    """Between lazy-pages and the server: of each connection it lets so much through, and no more until release(). So many that say hello are turned away."""
    ENOUGH, HELLO = 300000, b'\0\x20'

    def __init__(self, port, turn_away=0):
        self.turn_away = turn_away
        self.server, self.held, self.open, self.socks = port, False, threading.Event(), []
        self.listener = socket.create_server((HERE, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        try:
            while True:
                client = self.listener.accept()[0]
                if self.turn_away and client.recv(2, socket.MSG_PEEK) == self.HELLO:
                    self.turn_away -= 1
                    client.close()
                    continue
                server = socket.create_connection((HERE, self.server))
                self.socks += [client, server]
                threading.Thread(target=self.pump, args=(client, server, 1 << 60), daemon=True).start()
                threading.Thread(target=self.pump, args=(server, client, self.ENOUGH), daemon=True).start()
        except OSError:
            pass

    def pump(self, frm, to, enough):
        try:
            while True:
                data = frm.recv(65536)
                if not data:
                    break
                enough -= len(data)
                if enough < 0 and not self.open.is_set():
                    self.held = True
                    self.open.wait()
                to.sendall(data)
        except OSError:
            pass
        try:
            to.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def release(self):
        self.open.set()

    def close(self):
        self.release()
        for s in [self.listener, *self.socks]:
            s.close()


class Migration:
    """The crowd on its way: a source that serves, a daemon, and a place (a pid namespace) where restore can work."""

    def __init__(self, w, *opts, proxy=False, stopped=False, fault=None, turn_away=0):
        self.w, self.opts, self.stop_sent = w, opts, False
        self.bin = w.dir + '/workload'   # as workloads() knows it
        shutil.copy(crowd(), self.bin)
        self.out = w.dir + '/out'
        self.load = detached(self.bin, self.out)
        wait(lambda: all(c > 2 for c in self.counts()), 'the workload did not start')
        self.source_pids = family(self.load.pid)
        self.threads = range(9)
        if stopped:   # the second of the processes is in a job control stop all the time
            os.kill(self.source_pids[1], signal.SIGSTOP)
            wait(lambda: 'T' in self.look().values(), 'a process does not stop')
            self.threads = [*range(3), *range(6, 9)]
        self.place = subprocess.Popen(['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', 'sleep', '600'], stdin=subprocess.DEVNULL)
        self.init = None
        self.dump = w.ready('dump', '-t', self.load.pid, '-D', w.img, '--lazy-pages', '--address', HERE, '--port', '0', '-v4', '-o', 'dump.log', *opts, fault=fault)
        self.port = re.search(r'listening on \S+ port (\d+)', open(w.img + '/dump.log').read()).group(1)
        self.proxy = Proxy(int(self.port), turn_away) if proxy else None
        self.copy = w.dir + '/copy'
        shutil.copytree(w.img, self.copy)
        self.lazy = self.daemon()

    def daemon(self):
        return self.w.ready('lazy-pages', '--page-server', '--address', HERE, '--port', self.proxy.port if self.proxy else self.port, '-D', self.copy, '-v4', '-o', 'lazy.log',
                            '--reconnect-timeout', '600')

    def restore(self, fault=None):
        if self.init is None:
            wait(lambda: len(family(self.place.pid)) > 1, 'no pid namespace')
            self.init = family(self.place.pid)[1]
        env = dict(os.environ, **({'CRIU_FAULT': fault} if fault else {}))
        return self.w.spawn('restore', '--lazy-pages', '-D', self.copy, '-d', '-v4', '-o', 'restore.log', env=env,
                            prefix=['nsenter', '-t', self.init, '-p', '-m'])

    def counts(self):
        try:
            data = open(self.out, 'rb').read(512)
        except FileNotFoundError:
            data = b''
        v = struct.unpack('64Q', data) if len(data) == 512 else (0,) * 64
        check(v[63] == 0, '%d wrong bytes' % v[63])
        check(v[62] == 0 or self.stop_sent, 'the pending SIGCONT is gone')
        return v[:9]

    def runs(self, why):
        """Every thread counts."""
        first = self.counts()
        wait(lambda: all(self.counts()[i] > first[i] + 5 for i in self.threads), '%s: threads stand still: %s' % (why, self.look()))
        check(len(self.threads) == 9 or list(self.look().values()).count('T') == 1, '%s: one was to stay stopped: %s' % (why, self.look()))

    def stands(self, why):
        """No thread does."""
        first = self.counts()
        time.sleep(0.1)
        check(first == self.counts(), '%s: threads run: %s' % (why, self.look()))

    def copies(self, here):
        return {p for p in world.workloads(self.w.dir) if (p in self.source_pids) == here}

    def look(self):
        found = {p: world.state(p) for p in world.workloads(self.w.dir)}
        return {p: s for p, s in found.items() if s}   # it may end meanwhile

    def all_stopped(self):
        look = self.look()
        return len(self.copies(False)) == 3 and all(look.get(p) == 'T' for p in self.copies(False))

    def ended(self, p, rc=None, timeout=30):
        try:
            p.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Fail('%s hangs' % (p.args,)) from None
        check(rc is None or p.returncode == rc, '%s: status %d instead of %s' % (p.args, p.returncode, rc))

    def arrived(self):
        """It runs at the destination, and nowhere else, with all of its memory."""
        self.ended(self.lazy, 0)
        self.ended(self.dump, 0)
        wait(lambda: not self.copies(True) - {self.load.pid}, 'the source has tasks')
        self.runs('at the destination')
        check(len(self.copies(False)) == 3, 'the destination has %s' % self.look())

    def stayed(self, why):
        """It runs at the source, and nothing is left at the destination."""
        self.ended(self.lazy)
        self.ended(self.dump, 1)
        check(self.lazy.returncode, '%s: lazy-pages ended with status 0' % why)
        wait(lambda: not self.copies(False), '%s: tasks are left at the destination: %s' % (why, self.look()))
        self.runs(why)

    def asked(self):
        """restore has been killed, the source has not answered: nothing runs."""
        wait(self.all_stopped, 'not all tasks wait: %s' % self.look())
        self.stands('before the source has answered')

    def daemon_pids(self):
        """worker, main, guard; as soon as there are all of them"""
        def called(name):
            return next((p for p in family(self.lazy.pid)[1:] if world.comm(p) == name), 0)
        wait(lambda: called('lazy-worker') and called('lazy-guard'), 'lazy-pages has no worker, or no guard')
        return [called('lazy-worker'), self.lazy.pid, called('lazy-guard')]

    def is_daemon(self, pid):
        words = world.cmdline(pid)
        return b'lazy-pages' in words and self.copy.encode() in words

    def kill_daemon(self, order=1):
        """All of it, and what it starts meanwhile."""
        while left := {p for p in world.running_criu() - self.w.criu_before if self.is_daemon(p)}:
            for pid in sorted(left)[::order]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0]:
            for name in ('img/dump.log', 'copy/lazy.log', 'copy/restore.log'):
                path = os.path.join(self.w.dir, name)
                if os.path.exists(path):
                    print('-- %s\n%s' % (name, ''.join(open(path, errors='replace').readlines()[-12:])))
        if self.proxy:
            self.proxy.close()
        while left := world.running_criu() - self.w.criu_before:   # one starts another
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        for p in world.workloads(self.w.dir):
            kill_tree(p)
        self.load.wait()
        self.place.kill()
        self.place.wait()


def crowd():
    path = world.BIN + '/crowd'
    return path if os.path.exists(path) else compiled(CROWD, path, '-pthread')
