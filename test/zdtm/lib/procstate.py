# SPDX-License-Identifier: GPL-2.0-only
"""What /proc shows of a tree of tasks, in a form that must be the same before a checkpoint and after the restore.

Numbers that the kernel hands out anew (inodes of pipes and sockets, ids of anonymous objects) are replaced by
the order in which they are met, so that sharing shows and the number does not. Tasks are named by their pid in
their own pid namespace.
"""
import array
import ctypes
import glob
import os
import re

libc = ctypes.CDLL(None, use_errno=True)
SYS_kcmp, KCMP_FILE = 312, 0

# sd: soft-dirty; um, uw, ui: userfaultfd, gone when the last page is in; ac: a read-only mapping that once was writable
# keeps it, and no call sets it
VMFLAGS_IGNORED = {'sd', 'um', 'uw', 'ui', 'ac'}
STATUS_KEYS = ('Name', 'Umask', 'State', 'Uid', 'Gid', 'Groups', 'Threads', 'SigPnd', 'ShdPnd', 'SigBlk', 'SigIgn',
               'SigCgt', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp', 'VmLck',
               'THP_enabled', 'Cpus_allowed', 'NSpid', 'NSpgid', 'NSsid', 'NStgid')
THREAD_STATUS_KEYS = tuple(k for k in STATUS_KEYS if k not in ('VmLck', 'Threads', 'NSpgid', 'NSsid'))
STAT_FIELDS = {'tty_nr': 7, 'nice': 19, 'rt_priority': 40, 'policy': 41}
STAT_MM_FIELDS = {'start_code': 26, 'end_code': 27, 'start_stack': 28, 'start_data': 45, 'end_data': 46,
                  'start_brk': 47, 'arg_start': 48, 'arg_end': 49, 'env_start': 50, 'env_end': 51, 'exit_code': 52}


def read(path, binary=False):
    try:
        with open(path, 'rb') as f:
            data = f.read()
    except OSError as e:
        data = ('<%s>' % e.strerror).encode()
    return data if binary else data.decode('latin-1')


def stat_fields(path):
    """/proc/PID/stat as a list in which field N of proc(5) is [N]"""
    text = read(path)
    if ')' not in text:
        return None
    return [None, None, None] + text.rsplit(')', 1)[1].split()


def children_of(pids):
    """pids and all their descendants, parents first"""
    kids = {}
    for p in os.listdir('/proc'):
        if p.isdigit():
            f = stat_fields('/proc/%s/stat' % p)
            if f:
                kids.setdefault(int(f[4]), []).append(int(p))
    out, todo = [], list(pids)
    while todo:
        p = todo.pop(0)
        out.append(p)
        todo += sorted(kids.get(p, []))
    return out


def exists(pid):
    f = stat_fields('/proc/%d/stat' % pid)
    return f is not None


def ns_id(pid, key='NSpid'):
    m = re.search(r'^%s:.*?(\d+)$' % key, read('/proc/%d/status' % pid), re.M)
    return int(m.group(1)) if m else 0


class Canon:
    def __init__(self):
        self.seen = {}

    def __call__(self, kind, number):
        of_kind = self.seen.setdefault(kind, {})
        return '%s#%d' % (kind, of_kind.setdefault(number, len(of_kind)))


def same_description(a, fd_a, b, fd_b):
    r = libc.syscall(SYS_kcmp, a, b, KCMP_FILE, ctypes.c_ulong(fd_a), ctypes.c_ulong(fd_b))
    return r == 0


def parse_status(path, keys):
    out = {}
    for line in read(path).splitlines():
        key, _, value = line.partition(':')
        if key in keys:
            value = ' '.join(value.split())
            if key.startswith('NS'):
                value = value.split()[-1]
            if key == 'State':
                value = value[0]
                if value == 'D':
                    value = 'S'
            out[key] = value
    return out


def parse_maps(pid, canon):
    out, flags = [], None
    for line in read('/proc/%d/smaps' % pid).splitlines():
        m = re.match(r'([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) (\S+) (\d+) *(.*)$', line)
        if m:
            start, end, off = (int(m.group(i), 16) for i in (1, 2, 4))
            ino, path = int(m.group(6)), m.group(7)
            if path.startswith('[anon:'):
                path = ''
            if path == '/anon_hugepage (deleted)' and m.group(3).endswith('p'):
                ino = 0    # of the kernel's own: nothing is shared by it
            if path.endswith(' (deleted)') or path.startswith('/SYSV'):
                ino = canon('object', (m.group(5), ino)) if ino else 0
            if not ino:
                off = 0
            out.append([start, end, m.group(3), off, ino, path, ''])
        elif line.startswith('VmFlags:'):
            out[-1][6] = ' '.join(f for f in line.split()[1:] if f not in VMFLAGS_IGNORED)
    merged = []
    for v in out:
        p = merged[-1] if merged else None
        if p and p[1] == v[0] and p[2] == v[2] and p[4:] == v[4:] and (not v[4] or p[3] + p[1] - p[0] == v[3]):
            p[1] = v[1]
        else:
            merged.append(v)
    return ['%x-%x %s %x %s %s {%s}' % tuple(v) for v in merged]


def socket_tables(pid):
    """inode -> what /proc/PID/net says about the socket"""
    out = {}
    for line in read('/proc/%d/net/unix' % pid).splitlines()[1:]:
        f = line.split(None, 7)
        if len(f) >= 7:
            out[f[6]] = 'unix flags %s type %s state %s %s' % (f[3], f[4], f[5], f[7] if len(f) > 7 else '')
    for proto in ('tcp', 'tcp6', 'udp', 'udp6', 'udplite', 'raw', 'raw6'):
        for line in read('/proc/%d/net/%s' % (pid, proto)).splitlines()[1:]:
            f = line.split()
            if len(f) > 9:
                out[f[9]] = '%s local %s remote %s state %s queues %s' % (proto, f[1], f[2], f[3], f[4])
    return out


def parse_fd(pid, fd, canon, sockets):
    try:
        link = os.readlink('/proc/%d/fd/%d' % (pid, fd))
    except OSError:
        return None
    st, mode = None, None
    try:
        st = os.stat('/proc/%d/fd/%d' % (pid, fd))
        mode = '%o' % st.st_mode
    except OSError:
        pass
    # the mode of a socket's inode is of no consequence
    out = {'mode': mode, 'lmode': '%o' % (os.lstat('/proc/%d/fd/%d' % (pid, fd)).st_mode & 0o700)}
    m = re.match(r'(pipe|socket):\[(\d+)\]$', link)
    if m:
        out['link'] = canon(m.group(1), m.group(2))
        out.update({'socket': sockets.get(m.group(2), '')} if m.group(1) == 'socket' else {})
    else:
        out['link'] = link
        if link.startswith('/') and st:
            out['inode'] = (canon('object', ('%02x:%02x' % (os.major(st.st_dev), os.minor(st.st_dev)), st.st_ino))
                            if link.endswith(' (deleted)') else (st.st_dev, st.st_ino))
            out['size'] = st.st_size
    for line in read('/proc/%d/fdinfo/%d' % (pid, fd)).splitlines():
        key, _, value = line.partition(':')
        value = ' '.join(value.split())
        if key in ('pos', 'flags', 'eventfd-count', 'eventfd-semaphore', 'sigmask', 'clockid', 'settime flags', 'it_interval'):
            out[key] = value
        elif key == 'it_value':
            out['armed'] = value != '(0, 0)'
        elif key == 'tfd':
            m = re.match(r'(\d+) events: *(\w+) data: *(\w+)', value)
            out['tfd ' + m.group(1) if m else 'tfd ' + value] = m.groups() if m else value
        elif key.startswith('inotify wd'):
            m = re.match(r'inotify wd:(\w+) ino:(\w+) sdev:(\w+) mask:(\w+) ignored_mask:(\w+)', line)
            out['wd ' + m.group(1) if m else line] = m.groups() if m else line
        elif key == 'lock':
            f = value.split()
            out.setdefault('locks', []).append(' '.join(f[1:4] + f[-2:]))
    return out


def parse_limits(pid):
    out = {}
    for line in read('/proc/%d/limits' % pid).splitlines()[1:]:
        f = re.split(r'  +', line.strip())
        out[f[0]] = ' '.join(f[1:3])
    return out


def parse_thread(base):
    out = parse_status(base + '/status', THREAD_STATUS_KEYS)
    f = stat_fields(base + '/stat')
    if f:
        out.update({name: f[n] for name, n in STAT_FIELDS.items()})
    out['comm'] = read(base + '/comm')
    return out


def snapshot_task(pid, canon, root):
    base = '/proc/%d' % pid
    out = parse_status(base + '/status', STATUS_KEYS)
    f = stat_fields(base + '/stat')
    if f is None:
        return None
    out['ppid'] = 'outside' if pid == root else ns_id(int(f[4]))
    if out.get('State') != 'Z':
        f[52] = '0'  # of a stopped task: whether its parent was told
    out['exit_signal'] = f[38] if pid != root else ''
    out.update({name: f[n] for name, n in STAT_FIELDS.items()})
    if out.get('State') == 'Z':
        # what is left of a zombie is its exit code; its mm, files and credentials are gone or of no consequence
        return {k: v for k, v in out.items() if k in ('Name', 'State', 'ppid', 'NSpid', 'NSpgid', 'NSsid')} | {'exit_code': f[52]}
    out.update({name: f[n] for name, n in STAT_MM_FIELDS.items()})
    for name in ('cwd', 'root', 'exe'):
        try:
            out[name] = os.readlink(base + '/' + name)
        except OSError as e:
            out[name] = '<%s>' % e.strerror
    for name in ('cmdline', 'environ', 'auxv', 'comm', 'personality', 'coredump_filter', 'oom_score_adj', 'cgroup', 'loginuid'):
        out[name] = read(base + '/' + name)
    out['timerslack_ns'] = read('%s/timerslack_ns' % base)
    out['timers'] = sorted(t for t in read(base + '/timers').replace('\nsignal', ' signal').replace('\nnotify', ' notify')
                           .replace('\nClockID', ' ClockID').splitlines())
    out['limits'] = parse_limits(pid)
    out['ns'] = {}
    for ns in sorted(os.listdir(base + '/ns')):
        try:
            link = os.readlink('%s/ns/%s' % (base, ns))
            host = os.readlink('/proc/self/ns/' + ns)
            # which one is of no consequence for one of the tree's own
            out['ns'][ns] = 'ours' if link == host else canon(ns, link)
        except OSError:
            out['ns'][ns] = '<none>'
    out['fds'] = {}
    sockets = None
    for fd in sorted(int(n) for n in os.listdir(base + '/fd')):
        if sockets is None and os.readlink('%s/fd/%d' % (base, fd)).startswith('socket:'):
            sockets = socket_tables(pid)
        out['fds'][fd] = parse_fd(pid, fd, canon, sockets or {})
    out['maps'] = parse_maps(pid, canon)
    out['threads'] = {}
    for tid in os.listdir(base + '/task'):
        t = parse_thread('%s/task/%s' % (base, tid))
        out['threads'][int(t.get('NSpid', tid))] = t
    return out


def add_sharing(tasks):
    """marks the descriptors that are one description, over all tasks"""
    groups = []
    for pid, task in tasks:
        for fd, info in task.get('fds', {}).items():
            if info is None:
                continue
            for i, (gpid, gfd, link) in enumerate(groups):
                if link == info['link'] and same_description(gpid, gfd, pid, fd):
                    info['description'] = i
                    break
            else:
                info['description'] = len(groups)
                groups.append((pid, fd, info['link']))


def snapshot(root):
    """{pid in its namespace: state} of the tree below ROOT"""
    canon, tasks = Canon(), []
    for pid in sorted(children_of([root]), key=ns_id):
        t = snapshot_task(pid, canon, root)
        if t:
            tasks.append((pid, t))
    add_sharing(tasks)
    return {int(t['NSpid']): t for _, t in tasks}


def busy_marks(root):
    marks, asleep = [], True
    for pid in children_of([root]):
        for path in glob.glob('/proc/%d/task/*' % pid):
            text = read(path + '/status')
            m = re.search(r'^State:\s+(\S)', text, re.M)
            s = re.search(r'^voluntary_ctxt_switches:\s+(\d+)', text, re.M)
            marks.append((path, m and m.group(1), s and s.group(1)))
            asleep = asleep and bool(m) and m.group(1) in 'STtZX'
    return asleep, marks


def wait_quiet(root, sleep, now, limit=2.0):
    """until every thread sleeps and has not run between two looks"""
    end, last = now() + limit, None
    while now() < end:
        asleep, marks = busy_marks(root)
        if asleep and marks == last:
            return True
        last = marks
        sleep(0.003)
    return False


def memory(pid, limit=96 << 20):
    """{address: page contents} as runs: what the task has of its own (written private pages, shared memory)"""
    out, total = {}, 0
    try:
        pagemap = open('/proc/%d/pagemap' % pid, 'rb', 0)
        mem = open('/proc/%d/mem' % pid, 'rb', 0)
    except OSError:
        return None
    with pagemap, mem:
        for line in read('/proc/%d/maps' % pid).splitlines():
            m = re.match(r'([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ (\S+) (\d+) *(.*)$', line)
            start, end, perms, path = int(m.group(1), 16), int(m.group(2), 16), m.group(3), m.group(6)
            if path in ('[vdso]', '[vvar]', '[vvar_vclock]', '[vsyscall]') or end - start > 1 << 34:
                continue
            shared_file = perms[3] == 's' and m.group(5) != '0' and not path.endswith(' (deleted)')
            pagemap.seek(start // 4096 * 8)
            entries = array.array('Q', pagemap.read((end - start) // 4096 * 8))
            run = None
            for i, e in enumerate(entries):
                # bit 58: a guard region, which nobody can read
                own = e >> 62 and not e >> 58 & 1 and not shared_file and (not e >> 61 & 1 or perms[3] == 's')
                if own and run is None:
                    run = i
                if run is not None and (not own or i == len(entries) - 1):
                    stop = i + 1 if own else i
                    addr, length = start + run * 4096, (stop - run) * 4096
                    run, total = None, total + length
                    if total > limit:
                        return None
                    mem.seek(addr)
                    out[addr] = mem.read(length)
    return out


def memory_differences(before, pid, nr_threads, is_zero_ok=True):
    """Reads in PID what BEFORE has. Up to one 32-byte block per thread (rseq, written by the kernel) may differ."""
    diffs, rseq = [], nr_threads
    with open('/proc/%d/mem' % pid, 'rb', 0) as mem:
        for addr, data in before.items():
            try:
                mem.seek(addr)
                now = b''
                while len(now) < len(data):
                    piece = mem.read(len(data) - len(now))
                    if not piece:
                        break
                    now += piece
            except OSError as e:
                diffs.append('%x: cannot be read: %s' % (addr, e.strerror))
                continue
            if now == data:
                continue
            for off in range(0, len(data), 4096):
                if now[off:off + 4096] == data[off:off + 4096]:
                    continue
                blocks = [b for b in range(off, off + 4096, 32) if now[b:b + 32] != data[b:b + 32]]
                if len(blocks) <= rseq:
                    rseq -= len(blocks)
                    continue
                b = blocks[0]
                diffs.append('memory at %x: %d blocks of 32 bytes differ, first %s, was %s'
                             % (addr + off, len(blocks), now[b:b + 32].hex(), data[b:b + 32].hex()))
                if len(diffs) > 8:
                    return diffs
    return diffs


def differences(a, b, ignore=(), path=''):
    """lines that say where B is not A; IGNORE: parts of the path that are left out"""
    if any(re.search(i, path) for i in ignore):
        return []
    if isinstance(a, dict) and isinstance(b, dict):
        out = []
        for k in sorted(set(a) | set(b), key=str):
            if k not in b:
                out += differences(a[k], '<gone>', ignore, '%s/%s' % (path, k))
            elif k not in a:
                out += differences('<none>', b[k], ignore, '%s/%s' % (path, k))
            else:
                out += differences(a[k], b[k], ignore, '%s/%s' % (path, k))
        return out
    if isinstance(a, list) and isinstance(b, list) and a != b:
        gone, new = [x for x in a if x not in b], [x for x in b if x not in a]
        return ['%s: lost %s' % (path, x) for x in gone[:8]] + ['%s: new %s' % (path, x) for x in new[:8]]
    return [] if a == b else ['%s: was %.200r, is %.200r' % (path, a, b)]
