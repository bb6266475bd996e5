# SPDX-License-Identifier: GPL-2.0-only
"""A small world for tests of the command line: a workload whose health shows from outside, a directory for each test, and
a look at what may be left behind. Used by test/check.d/*."""
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CRIU = os.environ.get('CRIU', os.path.join(ROOT, 'criu/criu'))
TESTS = []

# Counts in shared memory and in a page of its own, so that both "it runs" and "its memory is whole" show from outside.
WORKLOAD = r'''
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	size_t size = atoi(argv[2]) << 20;
	int fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	volatile uint64_t *out;
	unsigned char *mem = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ftruncate(fd, 4096))
		return 1;
	out = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (size_t i = 0; i < size; i++)
		mem[i] = i * 31 + (i >> 12);
	if (argc > 3 && !fork())
		for (;;)
			pause();
	for (;;) {
		for (size_t i = out[0] % 4096; i < size; i += 4096)
			if (mem[i] != (unsigned char)(i * 31 + (i >> 12)))
				out[1]++;
		out[0]++;
		usleep(1000);
	}
}
'''


def test(f):
    TESTS.append(f)
    return f


class Fail(Exception):
    pass


class Skip(Exception):
    pass


def check(what, why):
    if not what:
        raise Fail(why)


def wait(what, why, seconds=20):
    """Until WHAT() is true, which is returned; else the test has failed, and WHY says so, or gives what does."""
    end = time.monotonic() + seconds
    while not (found := what()):
        check(time.monotonic() < end, why() if callable(why) else why)
        time.sleep(0.005)
    return found


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def compiled(source, path, *flags):
    """The program of this C text is at PATH, which is returned."""
    subprocess.run(['cc', '-O2', *flags, '-xc', '-', '-o', path], input=source, text=True, check=True)
    return path


def detached(*cmd):
    """A process that has nothing of ours: a session of its own, and no input or output."""
    return subprocess.Popen(cmd, cwd='/', stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


class Run:
    def __init__(self, rc, out, err):
        self.rc, self.out, self.err = rc, out, err

    def __str__(self):
        return 'exit %s\n%s%s' % (self.rc, self.out, self.err)


def criu(*args, env=None, timeout=30, pass_fds=(), prefix=(), cwd='/'):
    e = {k: v for k, v in os.environ.items() if not k.startswith('CRIU')}
    e.update({'HOME': '/nonexistent'}, **(env or {}))
    p = subprocess.run([*prefix, CRIU, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       errors='replace', env=e, timeout=timeout, pass_fds=pass_fds, cwd=cwd)
    for c in ('dump', 'restore', 'lazy-pages', 'page-server', 'service', 'swrk', 'dedup'):
        if p.stderr == 'Error: %s is not supported yet\n' % c:
            raise Skip('there is no %s yet' % c)
    return Run(p.returncode, p.stdout, p.stderr)


def refused(run, *words, lines=1):
    """Exit 1, no more than LINES lines of error, all WORDS in them."""
    text = run.err
    errors = [l for l in text.splitlines() if 'Error' in l]
    check(run.rc == 1, 'exit 1 was expected: %s' % run)
    check(1 <= len(errors) <= lines, '%d error lines, expected up to %d: %s' % (len(errors), lines, run))
    for w in words:
        check(w in text, '"%s" is not in: %s' % (w, run))


class Task:
    """A running workload, and what it looks like from outside."""

    def __init__(self, work, size=4, child=False):
        self.out = os.path.join(work, 'out')
        self.p = detached(os.path.join(BIN, 'workload'), self.out, str(size), *['child'] * child)
        self.pid = self.p.pid
        wait(lambda: self.count() >= 2, 'the workload did not start')
        self.before = self.look()

    def read(self):
        try:
            data = open(self.out, 'rb').read(16)
        except FileNotFoundError:
            data = b''
        return struct.unpack('QQ', data) if len(data) == 16 else (0, 0)

    def count(self):
        return self.read()[0]

    def look(self):
        proc = '/proc/%d/' % self.pid
        status = dict(l.rstrip('\n').split(':\t', 1) for l in open(proc + 'status') if ':\t' in l)
        keep = ('Name', 'Umask', 'TracerPid', 'Uid', 'Gid', 'Groups', 'Threads', 'SigPnd', 'ShdPnd', 'SigBlk', 'SigIgn', 'SigCgt', 'CapEff', 'Seccomp')
        return ({k: status.get(k) for k in keep}, sorted(os.listdir(proc + 'fd')), open(proc + 'maps').read(),
                open(proc + 'task/%d/children' % self.pid).read())

    def untouched(self):
        """It runs, is nobody's tracee, and is what it was."""
        check(self.p.poll() is None, 'the task is dead: %s' % self.p.returncode)
        now = self.look()
        for a, b in zip(self.before, now):
            check(a == b, 'the task was changed: %s / %s' % (a, b))
        self.runs('the task')

    def runs(self, who):
        """It counts, here or where it was restored, and all of its memory is right."""
        first = self.count()
        wait(lambda: self.count() >= first + 5, who + ' does not run', 10)
        check(self.read()[1] == 0, 'the memory of %s is damaged' % who)

    def kill(self):
        if self.p.returncode is None:
            self.p.kill()
        kill_tree(self.pid)
        self.p.wait()


def family(pid):
    """PID and all below it, parents first."""
    try:
        kids = open('/proc/%d/task/%d/children' % (pid, pid)).read().split()
    except OSError:
        return []
    return [pid] + [p for k in kids for p in family(int(k))]


def stat_of(pid):
    """(comm, fields of proc(5) stat from the state on) of a task; ('', ['']) when it is gone: looking never fails."""
    try:
        head, tail = open('/proc/%d/stat' % pid).read().rsplit(')', 1)
    except OSError:
        return '', ['']
    return head.split('(', 1)[1], tail.split()


def comm(pid):
    return stat_of(pid)[0]


def state(pid):
    """One letter; empty when it is gone."""
    return stat_of(pid)[1][0]


def cmdline(pid):
    """Its words as bytes; none of a task that is gone (or a zombie)."""
    try:
        return open('/proc/%d/cmdline' % pid, 'rb').read().split(b'\0')[:-1]
    except OSError:
        return []


def own_mounts():
    """This process, and all that it starts from now on, has mounts of its own: nothing that is mounted outlives it."""
    libc = ctypes.CDLL(None, use_errno=True)
    check(not libc.unshare(0x20000) and not libc.mount(b'none', b'/', None, 0x44000, None), 'no mount namespace of its own')   # CLONE_NEWNS; MS_REC | MS_PRIVATE


@contextlib.contextmanager
def tmpfs(dir, size):
    """A filesystem of SIZE bytes (a multiple of 4096) on DIR. After own_mounts()."""
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=%d' % size, 'none', dir], check=True)
    try:
        yield dir
    finally:
        subprocess.run(['umount', '-l', dir], check=True)


def kill_tree(pid):
    pids = family(pid)
    for p in pids:   # who stands still starts nobody in the place of the one that was killed first
        try:
            os.kill(p, signal.SIGSTOP)
        except ProcessLookupError:
            pass
    pids = family(pid) or pids
    for p in pids:
        try:
            os.kill(p, signal.SIGKILL)
        except ProcessLookupError:
            pass
    # children of the dead become ours (see main()); as long as one is there, its session's pid is not free
    for p in pids:
        try:
            os.waitpid(p, 0)
        except ChildProcessError:
            pass


class World:
    """A directory for one test, its tasks, and a look at what may be left behind."""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix='criu-cli.')
        self.img = os.path.join(self.dir, 'img')
        os.mkdir(self.img)
        self.tasks, self.procs, self.sockets = [], [], []
        self.criu_before = running_criu()
        return self

    def task(self, **kw):
        t = Task(self.dir, **kw)
        self.tasks.append(t)
        return t

    def spawn(self, *args, prefix=(), **kw):
        p = subprocess.Popen([*map(str, prefix), CRIU, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
        self.procs.append(p)
        return p

    def try_ready(self, *args, fault=None, **kw):
        """Starts a criu that serves, and waits for the byte on its --status-fd, or for its end."""
        if fault:
            kw['env'] = {**os.environ, 'CRIU_FAULT': fault, **kw.get('env', {})}
        r, s = os.pipe()
        p = self.spawn(*args, '--status-fd', s, pass_fds=[s], **kw)
        os.close(s)
        p.ready = os.read(r, 1) == b'\0'
        os.close(r)
        if not p.ready:
            p.wait(20)
        return p

    def ready(self, *args, **kw):
        """The same; it must get ready."""
        p = self.try_ready(*args, **kw)
        if not p.ready:
            raise Fail('criu %s did not get ready: %s' % (args[0], p.stdout.read()))
        return p

    def busy_port(self):
        s = socket.socket()
        s.bind(('127.0.0.1', 0))
        s.listen(1)
        self.sockets.append(s)
        return s.getsockname()[1]

    def dumped(self, **kw):
        """The images of a task that was killed by its dump."""
        t = self.task(**kw)
        r = criu('dump', '-t', t.pid, '-D', self.img)
        check(r.rc == 0, 'dump failed: %s' % r)
        t.p.wait()
        return t

    def __exit__(self, *exc):
        for p in self.procs:
            if p.poll() is None:
                kill_tree(p.pid)
            p.wait()
            p.stdout.close()
        for t in self.tasks:
            t.kill()
        for s in self.sockets:
            s.close()
        # a tracker ends by itself when it hears of its tasks' end
        end = time.monotonic() + 3
        while (left := running_criu() - self.criu_before) and exc[0] is None and time.monotonic() < end:
            time.sleep(0.01)
        for pid in left | workloads(self.dir):
            kill_tree(pid)
        shutil.rmtree(self.dir, ignore_errors=True)
        if exc[0] is None:
            check(not left, 'criu processes were left: %s' % left)


def running_criu():
    found = set()
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            if os.path.samefile('/proc/%s/exe' % pid, CRIU):
                found.add(int(pid))
        except OSError:
            pass
    return found


def workloads(dir):
    """Pids of workloads that write below DIR."""
    found = set()
    for pid in filter(str.isdigit, os.listdir('/proc')):
        words = cmdline(int(pid))
        if len(words) > 1 and words[0].endswith(b'/workload') and dir.encode() in words[1]:
            found.add(int(pid))
    return found


def main():
    """Runs the tests, or those named on the command line; ends with N passed, N failed, N skipped."""
    global BIN
    passed = failed = skipped = 0
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)   # PR_SET_CHILD_SUBREAPER
    BIN = tempfile.mkdtemp(prefix='criu-cli-bin.')
    try:
        compiled(WORKLOAD, BIN + '/workload')
        for t in TESTS:
            if sys.argv[1:] and t.__name__ not in sys.argv[1:]:
                continue
            try:
                t()
                passed += 1
                print('PASS', t.__name__, flush=True)
            except Skip as e:
                skipped += 1
                print('SKIP', t.__name__ + ':', e, flush=True)
            except Exception as e:   # whatever it is, the other tests go on
                failed += 1
                print('FAIL', t.__name__ + ':', e if isinstance(e, Fail) else repr(e), flush=True)
    finally:
        shutil.rmtree(BIN)
    print('%d passed, %d failed, %d skipped' % (passed, failed, skipped))
    return 1 if failed else 0
