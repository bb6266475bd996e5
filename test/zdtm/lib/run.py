# SPDX-License-Identifier: GPL-2.0-only
"""One run of one test, in a process of its own: it is started, checkpointed, restored and asked, and what is left over is looked for."""
import ctypes
import glob
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
import traceback

import procstate
from tests import SRC, descriptor

CRIU_LIMIT = 60
libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


class Fail(Exception):
    pass


class Skip(Exception):
    pass


class Run:
    def __init__(self, job, opts):
        self.o, self.name, self.user, self.flavour = opts, job['name'], job['user'], job['flavour']
        self.desc = descriptor(self.name)
        self.flags = self.desc['flags']
        self.short = self.name.split('/')[1]
        self.daemons, self.procs, self.imgs = [], [], []
        self.lazy = opts.lazy_pages or opts.remote_lazy_pages or opts.lazy_migrate
        self.root = None      # the test's (or its init's) pid as we see it
        self.popen = self.ns_file = None
        self.top = tempfile.mkdtemp(prefix='zdtm.%s.' % self.short, dir='/dev/shm' if os.path.isdir('/dev/shm') else None)
        os.chmod(self.top, 0o755)
        # the test's own directory is on a disk file system, the images are in memory
        self.dir = tempfile.mkdtemp(prefix='zdtm.%s.' % self.short, dir='/tmp')
        os.chmod(self.dir, 0o755)
        self.owner = 20000 if self.flavour == 'uns' else self.user
        os.chown(self.dir, self.owner, self.owner)
        self.out = self.dir + '/test.out'

    # -- processes --
    def start(self):
        with open(self.out, 'w'):
            pass
        os.chown(self.out, self.owner, self.owner)
        env = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/', 'ZDTM_TEST': self.name}
        if self.o.sabotage:
            env['ZDTM_SABOTAGE'] = '1'
        if self.lazy:
            env['ZDTM_LAZY'] = '1'  # pages that come one by one are not shared copy-on-write
        cmd = ['%s/%s' % (self.o.build, self.name)]
        kw = {'user': self.user, 'group': self.user, 'extra_groups': []} if self.user else {}
        if self.flavour != 'h':
            cmd = [self.o.build + '/lib/nsinit', self.flavour, self.dir + '/init.pid', str(self.user)] + cmd
            kw = {}
        with open(self.out, 'ab') as out, open('/dev/null') as null:
            self.popen = subprocess.Popen(cmd, stdin=null, stdout=out, stderr=out, cwd=self.dir, env=env, umask=0o022,
                                          start_new_session=True, **kw)
        if self.flavour != 'h':
            if self.popen.wait():
                raise Fail('nsinit: ' + self.said())
            with open(self.dir + '/init.pid') as f:
                self.root = int(f.read())
            os.unlink(self.dir + '/init.pid')
        else:
            self.root = self.popen.pid
        end = time.time() + 30
        while not self.line('READY'):
            ended = self.line('FAIL') or self.exited() is not None   # what it has said by then is all
            if self.line('SKIP'):
                raise Skip(self.line('SKIP')[6:])
            if ended and not self.line('READY'):
                raise Fail('before the checkpoint: ' + self.said())
            if time.time() > end:
                raise Fail('not ready after 30 s: ' + self.said())
            time.sleep(0.002)

    def said(self):
        text = procstate.read(self.out).strip()
        return '; '.join(line for line in text.splitlines() if line != 'READY')[-600:] or 'it said nothing'

    def line(self, word):
        for line in procstate.read(self.out).splitlines():
            if re.match(r'%s(:|$)' % word, line):
                return line
        return None

    def exited(self):
        """the root's wait status, or None while it runs"""
        if self.ns_file:  # its parent is the init of another pid namespace
            try:
                with open(self.ns_file + '.status') as f:
                    return int(f.read())
            except FileNotFoundError:
                return None
        try:
            pid, status = os.waitpid(self.root, os.WNOHANG)
        except ChildProcessError:
            return None if procstate.exists(self.root) else -1
        return status if pid else None

    def test_pid(self):
        """the test itself: the root, or the first child of its init"""
        if self.flavour == 'h':
            return self.root
        kids = procstate.children_of([self.root])
        return kids[1] if len(kids) > 1 else self.root

    def finish(self):
        """SIGTERM and the verdict"""
        os.kill(self.test_pid(), signal.SIGTERM)
        end = time.time() + self.desc.get('time', 20)
        status = None
        while status is None:
            status = self.exited()
            if status is None and time.time() > end:
                where = '; '.join('%d %s in %s' % (p, procstate.read('/proc/%d/comm' % p).strip(),
                                                   procstate.read('/proc/%d/syscall' % p).split(' ')[0])
                                  for p in procstate.children_of([self.root])[:6])
                raise Fail('no end after SIGTERM; %s; %s' % (where, self.said()))
            time.sleep(0.002)
        verdict = procstate.read(self.out).splitlines()
        if self.line('FAIL') or not verdict or verdict[-1] != 'PASS' or status != 0:
            if status > 0 and os.WIFSIGNALED(status):
                raise Fail('the test was killed by signal %d: %s' % (os.WTERMSIG(status), self.said()))
            raise Fail('%s (wait status %#x)' % (self.said(), status))

    def spawn(self, cmd, log, **kw):
        """a process in the background"""
        with open(log, 'ab') as f:
            p = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=f, stderr=f, start_new_session=True, **kw)
        self.procs.append(p)
        return p

    def wait(self, p, what, limit=CRIU_LIMIT):
        try:
            return p.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            raise Fail('%s has not ended after %d s' % (what, limit))

    # -- criu --
    def criu(self, action, img, *args):
        cmd = [self.o.criu, action, '-D', img, '-o', action + '.log', '-v4', '--no-default-config'] + list(args)
        if self.o.sat and shutil.which('strace'):
            cmd = ['strace', '-o', '%s/%s.strace' % (img, action)] + cmd
        return cmd

    def criu_run(self, action, img, *args, fault=None, may_fail=False):
        env = dict(os.environ, TMPDIR=self.top)
        if fault:
            env['CRIU_FAULT'] = fault
        p = self.spawn(self.criu(action, img, *args), '%s/%s.err' % (img, action), env=env)
        rc = self.wait(p, 'criu ' + action)
        if rc and not may_fail:
            raise Fail('criu %s: exit status %d' % (action, rc))
        return rc

    def criu_server(self, action, img, *args):
        """a server with --status-fd, once it is ready"""
        r, w = os.pipe()
        p = self.spawn(self.criu(action, img, *args, '--status-fd', str(w)), '%s/%s.err' % (img, action), pass_fds=[w])
        os.close(w)
        ready = select.select([r], [], [], CRIU_LIMIT)[0] and os.read(r, 1)
        os.close(r)
        if ready != b'\0':
            raise Fail('criu %s never became ready (exit status %s)' % (action, p.poll()))
        self.daemons.append((action, p))
        return p

    def end_daemons(self):
        for action, p in self.daemons:
            rc = self.wait(p, 'criu ' + action)
            if rc:
                raise Fail('criu %s: exit status %d' % (action, rc))
        self.daemons = []

    @staticmethod
    def free_port():
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            return s.getsockname()[1]

    def new_img(self, kind='img'):
        img = '%s/%s.%d' % (self.top, kind, len(self.imgs))
        os.mkdir(img)
        self.imgs.append(img)
        return img

    def opts(self, *keys):
        return [w for k in keys for w in self.desc.get(k, '').split()]

    def gone(self, pids, limit=5):
        end = time.time() + limit
        while True:
            self.exited()
            left = [p for p in pids if procstate.exists(p)]
            if not left:
                return
            if time.time() > end:
                raise Fail('after dump these are still there: %s' % left)
            time.sleep(0.002)

    # -- the story --
    def pre_dumps(self):
        prev = None
        for i in range(self.o.pre):
            img = self.new_img('pre')
            self.criu_run('pre-dump', img, '-t', str(self.root), '--track-mem',
                          *(['--prev-images-dir', '../' + os.path.basename(prev)] if prev else []), *self.opts('opts', 'dopts'))
            prev = img
        return ['--track-mem', '--prev-images-dir', '../' + os.path.basename(prev)] if prev else []

    def dump(self, img, *extra, **kw):
        rc = self.criu_run('dump', img, '-t', str(self.root), *self.opts('opts', 'dopts'), *extra, **kw)
        for expr in self.desc.get('warns', []) if rc == 0 else []:
            if not re.search('Warning: .*(%s)' % expr, procstate.read(img + '/dump.log')):
                raise Fail('criu dump does not warn of /%s/' % expr)
        return rc

    def restore_args(self, img):
        return ['-d', '--pidfile', 'restored.pid'] + self.opts('opts', 'ropts')

    def restore(self, img, *extra):
        self.criu_run('restore', img, *self.restore_args(img), *extra)
        with open(img + '/restored.pid') as f:
            pid = int(f.read())
        if pid != self.root:
            if self.flavour == 'h':
                raise Fail('restored as %d, was %d' % (pid, self.root))
            self.root = pid

    def checkpoint(self):
        """one checkpoint and restore in the mode asked for"""
        img, o, tree = None, self.o, procstate.children_of([self.root])
        fault = o.fault
        prev = self.pre_dumps()
        img = self.new_img()
        if fault and fault.split(':')[0] not in ('restore',):
            if self.dump(img, *prev, fault=fault, may_fail=True) != 0:
                if procstate.children_of([self.root]) != tree:
                    raise Fail('tasks were lost by a dump that failed')
                img = self.new_img()
            else:
                raise Fail('CRIU_FAULT=%s changed nothing' % fault)
        if o.lazy_migrate:
            return self.migrate(img, tree, prev)
        if o.page_server:
            port = self.free_port()
            self.criu_server('page-server', img, '--address', '127.0.0.1', '--port', str(port))
            self.dump(img, '--page-server', '--address', '127.0.0.1', '--port', str(port), *prev)
            self.end_daemons()
        else:
            self.dump(img, *prev)
        self.gone(tree)
        if o.lazy_pages or o.remote_lazy_pages:
            remote = []
            if o.remote_lazy_pages:
                port = self.free_port()
                remote = ['--page-server', '--address', '127.0.0.1', '--port', str(port)]
                self.criu_server('page-server', img, '--lazy-pages', '--address', '127.0.0.1', '--port', str(port))
            self.criu_server('lazy-pages', img, *remote)
            self.restore(img, '--lazy-pages')
        else:
            self.restore(img)

    def migrate(self, img, tree, prev):
        port = str(self.free_port())
        self.criu_server('dump', img, '-t', str(self.root), '--lazy-pages', '--address', '127.0.0.1', '--port', port,
                         *prev, *self.opts('opts', 'dopts'))
        dimg = self.new_img('dst')
        shutil.copytree(img, dimg, dirs_exist_ok=True)
        vpid, self.source = procstate.ns_id(self.root), tree
        self.criu_server('lazy-pages', dimg, '--page-server', '--address', '127.0.0.1', '--port', port)
        # namespaces of its own, in which pids and ports are free; their init stays until the test has ended
        self.ns_file = dimg + '/restored'
        rc = self.ns_file + '.rc'
        p = self.spawn(['unshare', '--pid', '--net', '--fork', '--mount-proc', '/usr/bin/python3', '-S', '-E', SRC + '/lib/nsrun.py',
                        self.ns_file, str(vpid)] + self.criu('restore', dimg, '--lazy-pages', *self.restore_args(dimg)), dimg + '/restore.err')
        end = time.time() + CRIU_LIMIT
        while not os.path.exists(rc):
            if time.time() > end or p.poll() is not None:
                raise Fail('criu restore has not ended (exit status %s)' % p.poll())
            time.sleep(0.002)
        with open(rc) as f:
            status = int(f.read())
        if status:
            raise Fail('criu restore: exit status %d' % status)
        for pid in procstate.children_of([p.pid])[1:]:
            if procstate.ns_id(pid) == vpid:
                self.old_root, self.root = self.root, pid
                return
        if os.path.exists(self.ns_file + '.status'):
            raise Fail('the restored task has ended at once: ' + self.said())
        raise Fail('no task with pid %d in the new namespace' % vpid)

    def refused(self):
        """a test that criu must refuse to dump, and leave unharmed"""
        img = self.new_img()
        if self.dump(img, may_fail=True) == 0:
            raise Fail('criu dump should have refused')
        self.check_refusal(img)

    def check_refusal(self, img):
        text = procstate.read(img + '/dump.err') + procstate.read(img + '/dump.log')
        errors = [line for line in text.splitlines() if 'Error' in line]
        if not any(re.search(self.desc['crfail'], line) for line in errors):
            raise Fail('criu dump refused without an error that matches /%s/: %s' % (self.desc['crfail'], ' | '.join(errors[-4:])))

    def may_refuse(self):
        """for a test that criu may refuse: does it?"""
        if 'mayrefuse' not in self.flags:
            return False
        img = self.new_img()
        if self.dump(img, '--leave-running', may_fail=True) == 0:
            return False
        self.check_refusal(img)
        return True

    def look(self):
        """state before or after; None for tests that never rest"""
        if 'busy' in self.flags or self.o.nocheck:
            return None
        if not procstate.wait_quiet(self.root, time.sleep, time.time):
            raise Fail('the tasks do not come to rest: %s' % procstate.busy_marks(self.root)[1])
        state = procstate.snapshot(self.root)
        state['files'] = {f: 1 for f in os.listdir(self.dir)}
        return state

    def compare(self, before, after, what):
        ignore = list(self.desc.get('ignore', [])) + ['/ns/time', '/locks/']
        if self.o.lazy_migrate:
            ignore += ['/ns/']
        if self.o.lazy_migrate or self.flavour != 'h':
            ignore += ['/mnt_id', '/inode', '/cgroup', '/timers$']
        if self.lazy:
            # the kernel reads these from pages that are not there yet; it cannot wait for them
            ignore += ['/cmdline$', '/environ$']
        lines = procstate.differences(before, after, ignore)
        if self.lazy:
            # locked areas are locked as their pages come
            lines = [x for x in lines if not (re.search(r'/maps: (lost|new) ', x) and re.search(r' lo\b', x))]
        if lines:
            raise Fail('%s, /proc shows other things:\n    %s' % (what, '\n    '.join(lines[:12])))

    def memory(self):
        return {p: procstate.memory(p) for p in procstate.children_of([self.root])}

    def check_memory(self, before):
        for pid, mem in before.items():
            if mem:
                lines = procstate.memory_differences(mem, pid, len(os.listdir('/proc/%d/task' % pid)))
                if lines:
                    raise Fail('task %d after the restore: %s' % (pid, '\n    '.join(lines)))

    def iteration(self):
        o = self.o
        before = self.look()
        mem = None
        if before and not self.lazy and self.flavour == 'h' and 'nomem' not in self.flags:
            mem = self.memory()
        if 'crfail' in self.flags:
            self.refused()
            what = 'after the refused dump'
        elif o.norst or o.snaps:
            what = 'after a dump with --leave-running'
            if not self.may_refuse():
                self.dump(self.new_img(), '--leave-running', *(['--track-mem'] if o.snaps else []))
        else:
            what = 'after the restore'
            if self.may_refuse():
                what = 'after the refused dump'
            else:
                self.checkpoint()
        if before:
            self.compare(before, self.look(), what)
        if mem:
            self.check_memory(mem)

    def run(self):
        o = self.o
        self.start()
        if o.nocr or o.sabotage:
            before = self.look()
            if before:
                self.compare(before, self.look(), 'without checkpoint')
            self.finish()
            return
        for i in range(1 if {'crfail', 'noiters'} & self.flags else o.iters):
            if i:
                self.end_daemons()
                time.sleep(0.02)
            self.iteration()
        self.finish()
        self.end_daemons()
        if o.lazy_migrate and 'crfail' not in self.flags:
            self.gone_source()
        self.nothing_left()

    def gone_source(self):
        try:
            os.waitpid(self.old_root, os.WNOHANG)
        except ChildProcessError:
            pass
        left = [p for p in self.source if procstate.exists(p)]
        if left:
            raise Fail('at the source these are still there: %s' % left)

    def nothing_left(self):
        for p in self.procs:
            self.wait(p, p.args[0], 5)
        end = time.time() + 2
        while True:
            self.reap()
            left = procstate.children_of([os.getpid()])[1:]
            if not left:
                break
            if time.time() > end:
                raise Fail('left over: ' + ', '.join('%d %s' % (p, procstate.read('/proc/%d/comm' % p).strip()) for p in left))
            time.sleep(0.005)
        if self.top in procstate.read('/proc/self/mountinfo') or self.dir in procstate.read('/proc/self/mountinfo'):
            raise Fail('a mount is left over')
        for img in self.imgs:
            socks = [f for f in os.listdir(img) if os.path.exists(img + '/' + f) and f.endswith('.socket')]
            if socks:
                raise Fail('left over in %s: %s' % (img, socks))

    def reap(self):
        known = {p.pid: p for p in self.procs + ([self.popen] if self.popen else [])}
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                if pid in known:
                    known[pid].returncode = os.waitstatus_to_exitcode(status)
        except ChildProcessError:
            pass

    def logs(self):
        out = []
        for img in self.imgs:
            for log in sorted(glob.glob(img + '/*.log') + glob.glob(img + '/*.err')):
                lines = procstate.read(log).splitlines()
                errors = [x for x in lines if 'Error' in x or 'Warn' in x][-8:]
                text = errors if log.endswith('.log') else []
                text += [x for x in lines[-6:] if x not in text]
                if text:
                    out += ['  -- %s/%s' % (os.path.basename(img), os.path.basename(log))] + ['    ' + x[:300] for x in text]
        return '\n'.join(out)

    def cleanup(self):
        # all that we started, and what became ours: we are the subreaper
        for _ in range(200):
            self.reap()
            left = procstate.children_of([os.getpid()])[1:]
            if not left:
                break
            for p in left:
                try:
                    os.kill(p, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.01)
        if self.o.keep_img:
            print('kept %s, %s' % (self.top, self.dir))
        else:
            shutil.rmtree(self.top, ignore_errors=True)
            shutil.rmtree(self.dir, ignore_errors=True)


def run_one(job, opts):
    """in a child process: (verdict, text)"""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    def stop(*_):
        # once: the group, the scheduler and its death may all send it, and the clean-up must not be interrupted
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(1)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    run = None
    try:
        run = Run(job, opts)
        for f in run.desc.get('feature', '').split():
            if not opts.nocr and subprocess.run([opts.criu, 'check', '--feature', f], capture_output=True).returncode:
                raise Skip('no ' + f)
        for c in run.desc.get('needs', '').split():
            if not shutil.which(c):
                raise Skip(c + ' is not installed')
        run.run()
        verdict = ('PASS', '')
    except Skip as e:
        verdict = ('SKIP', str(e))
    except Fail as e:
        text = str(e)
        if opts.keep_img or re.search('criu|killed by|no end', text.split('\n')[0]):
            text += '\n' + run.logs()
        verdict = ('FAIL', text)
        if opts.flavour != 'h' and 'nsskip' in run.desc:
            verdict = ('SKIP', run.desc['nsskip'])
    except Exception as e:
        verdict = ('FAIL', 'the runner: %r\n%s\n%s' % (e, traceback.format_exc(), run.logs() if run else ''))
    finally:
        if run:
            run.cleanup()
    if opts.sabotage and verdict[0] != 'SKIP':
        verdict = ('FAIL', 'sabotaged, and it did not notice') if verdict[0] == 'PASS' else \
            verdict if re.match('the runner|before the|.*cannot set up', verdict[1]) else ('PASS', 'noticed: ' + verdict[1].split('\n')[0][:100])
    return verdict
