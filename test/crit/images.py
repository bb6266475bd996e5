# SPDX-License-Identifier: GPL-2.0-only
"""Images made by another hand than crit's: Google's protobuf for Python, with the descriptors of images/*.proto.

Used by test/check.d/1?-crit*. Each image here is what the format says, so what crit makes of it can be compared.
"""
import base64
import binascii
import os
import random
import re
import struct

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor as F

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMON, SERVICE = 0x54564319, 0x55105940


def _load():
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet()
    with open(os.path.join(TOP, 'build/images/images.pb'), 'rb') as f:
        files.ParseFromString(f.read())
    names = []
    for fd in files.file:
        pool.Add(fd)
        if not fd.package:
            names += [m.name for m in fd.message_type]
    factory = message_factory.MessageFactory(pool)
    return {n: factory.GetPrototype(pool.FindMessageTypeByName(n)) for n in names}


messages = _load()


def _kinds():
    """NAME -> (magic, message of the entries), from the table of kinds."""
    with open(os.path.join(TOP, 'criu/image/kinds.c')) as f:
        text = f.read()
    found = re.findall(r'(KIND|MAP)\(\s*(\w+),\s*"[^"]*",\s*(0x\w+)(?:,\s*(\w+))?\)', text)
    return {name: (int(magic, 16), entry or 'pagemap_entry') for how, name, magic, entry in found}


kinds = _kinds()


def header(kind):
    magic = kinds[kind][0]
    if kind == 'INVENTORY':
        return struct.pack('<I', magic)
    return struct.pack('<II', SERVICE if kind in ('STATS', 'IRMAP_CACHE') else COMMON, magic)


def entry(msg):
    data = msg.SerializeToString()
    return struct.pack('<I', len(data)) + data


def image(kind, entries):
    """ENTRIES: messages, or pairs of a message and the bytes behind it."""
    out = [header(kind)]
    for e in entries:
        m, extra = e if isinstance(e, tuple) else (e, b'')
        out += [entry(m), extra]
    return b''.join(out)


def msg(kind, /, **fields):
    return messages[kind](**fields)


# ---- what decode must say ----

def text(data):
    return base64.encodebytes(data).decode()


def plain(m):
    """The plain JSON form of a message: fields in the order of their tags."""
    out = {}
    for f, v in m.ListFields():
        if f.label == F.LABEL_REPEATED:
            out[f.name] = [_value(f, x) for x in v]
        else:
            out[f.name] = _value(f, v)
    return out


def _value(f, v):
    if f.type == F.TYPE_MESSAGE:
        return plain(v)
    if f.type == F.TYPE_BYTES:
        if f.containing_type.name == 'unix_sk_entry' and f.name == 'name':
            return binascii.b2a_qp(v, quotetabs=True).decode('ascii')
        return text(v)
    if f.type == F.TYPE_ENUM:
        return f.enum_type.values_by_number[v].name
    return v


# ---- messages filled at random ----

RANGES = {F.TYPE_INT32: (-2**31, 2**31 - 1), F.TYPE_SINT32: (-2**31, 2**31 - 1),
          F.TYPE_INT64: (-2**63, 2**63 - 1), F.TYPE_SINT64: (-2**63, 2**63 - 1),
          F.TYPE_UINT32: (0, 2**32 - 1), F.TYPE_FIXED32: (0, 2**32 - 1),
          F.TYPE_UINT64: (0, 2**64 - 1), F.TYPE_FIXED64: (0, 2**64 - 1)}
STRINGS = ['', '/usr/bin/redis-server', 'a"b\\c/\n\t\r\b\f\x01\x7f', 'ünï → \U0001f600', ' ' * 90]


def _random_value(rnd, f, depth):
    if f.type in RANGES:
        lo, hi = RANGES[f.type]
        return rnd.choice([0, 1, lo, hi, rnd.randint(lo, hi)])
    if f.type == F.TYPE_BOOL:
        return rnd.random() < 0.5
    if f.type == F.TYPE_STRING:
        return rnd.choice(STRINGS)
    if f.type == F.TYPE_BYTES:
        size = rnd.choice([0, 1, 2, 3, 57, 58, 200])
        if f.containing_type.name == 'unix_sk_entry':  # Python's codec loses carriage returns
            return bytes(rnd.choice(b'abc./ =\t\n~\0\x80\xff.') for _ in range(size))
        return rnd.randbytes(size)
    if f.type == F.TYPE_ENUM:
        return rnd.choice(f.enum_type.values).number
    raise AssertionError(f.full_name)


def fill(rnd, m, depth=0):
    for f in m.DESCRIPTOR.fields:
        if f.label == F.LABEL_REPEATED:
            for _ in range(rnd.randrange(4) if depth < 4 else 0):
                if f.type == F.TYPE_MESSAGE:
                    fill(rnd, getattr(m, f.name).add(), depth + 1)
                else:
                    getattr(m, f.name).append(_random_value(rnd, f, depth))
        elif f.label == F.LABEL_REQUIRED or (rnd.random() < 0.6 and depth < 6):
            if f.type == F.TYPE_MESSAGE:
                sub = getattr(m, f.name)
                sub.SetInParent()
                fill(rnd, sub, depth + 1)
            else:
                setattr(m, f.name, _random_value(rnd, f, depth))
    return m


def _pad(data, to):
    return data + b'\0' * (-len(data) % to)


def with_extra(rnd, kind, m):
    """Gives M what its kind has behind an entry: the bytes, and how decode shows them (None: no extra)."""
    data = rnd.randbytes(rnd.choice([0, 1, 56, 57, 58, 5000]))
    if kind in ('PIPES_DATA', 'FIFO_DATA'):
        m.bytes = len(data)
    elif kind == 'SK_QUEUES':
        m.length = len(data)
    elif kind == 'BPFMAP_DATA':
        m.keys_bytes = len(data) // 2
        m.values_bytes = len(data) - len(data) // 2
    elif kind == 'TCP_STREAM':
        m.inq_len = len(data) // 3
        m.outq_len = len(data) - m.inq_len
        return data, {'inq': text(data[:m.inq_len]), 'outq': text(data[m.inq_len:])}
    elif kind == 'IPCNS_SHM':
        if m.in_pagemaps:
            data = b''
        else:
            m.size = len(data)
        return _pad(data, 4), text(data)
    elif kind == 'IPCNS_SEM':
        m.nsems = len(data) // 2
        data = data[:m.nsems * 2]
        return _pad(data, 8), list(struct.unpack('<%dH' % m.nsems, data))
    elif kind == 'IPCNS_MSG':
        m.qnum = rnd.randrange(4)
        raw, shown = b'', []
        for i in range(m.qnum):
            part = rnd.randbytes(rnd.choice([0, 7, 8, 9]))
            one = msg('ipc_msg', mtype=rnd.getrandbits(64), msize=len(part))
            raw += entry(one) + _pad(part, 8)
            shown += [plain(one), text(part)]
        return raw, shown
    elif kind == 'GHOST_FILE':
        if not m.chunks:
            return data, text(data)
        raw, shown = b'', []
        for i in range(rnd.randrange(4)):
            part = rnd.randbytes(100 * i)
            one = msg('ghost_chunk_entry', len=len(part), off=rnd.getrandbits(40))
            raw += entry(one) + part
            shown += [plain(one), text(part)]
        return raw, shown
    else:
        return b'', None
    return data, text(data)


# ---- a checkpoint ----

PAGE = 4096
LAZY_AT, FILE_AT, BSS_AT, VDSO_AT, STACK_AT = 0x10000000, 0x400000, 0x600000, 0x7fff00000000, 0x7ffe00000000


class Checkpoint:
    """One task with two threads, and its zombie child: enough for everything that reads a directory."""

    def __init__(self, path, pid=100, parent=None):
        self.path, self.pid, self.parent = path, pid, parent
        self.images = {}
        self.runs = []  # (address, flags, bytes or a number of pages)
        self.vmas = []
        self._default()

    def _default(self):
        def vma(start, nr, prot, flags, status, shmid=0):
            self.vmas.append(dict(start=start, end=start + nr * PAGE, pgoff=0, shmid=shmid, prot=prot,
                                  flags=flags, status=status, fd=-1))
        vma(FILE_AT, 4, 5, 2, 0x41, 1)
        vma(BSS_AT, 8, 3, 0x22, 0x201)
        vma(LAZY_AT, 64, 3, 0x22, 0x201)
        vma(STACK_AT, 16, 3, 0x122, 0x201)
        vma(VDSO_AT, 2, 5, 0x22, 0x209)

    def run(self, at, data, flags=4):
        self.runs.append((at, flags, data))

    def write(self):
        os.makedirs(self.path, exist_ok=True)
        if self.parent:
            os.symlink(os.path.relpath(self.parent, self.path), os.path.join(self.path, 'parent'))
        self._tasks()
        self._memory()
        for name, data in self.images.items():
            self.put(name, data)
        return self.path

    def put(self, name, data):
        with open(os.path.join(self.path, name), 'wb') as f:
            f.write(data)

    def _memory(self):
        entries, pages = [msg('pagemap_head', pages_id=1)], b''
        for at, flags, data in self.runs:
            nr = data if isinstance(data, int) else len(data) // PAGE
            entries.append(msg('pagemap_entry', vaddr=at, compat_nr_pages=nr, nr_pages=nr, flags=flags))
            if flags & 4:
                pages += data
        self.images['pagemap-%d.img' % self.pid] = image('PAGEMAP', entries)
        self.images['pages-1.img'] = pages
        mm = msg('mm_entry', exe_file_id=1, vmas=self.vmas, **{f: 0 for f in (
            'mm_start_code', 'mm_end_code', 'mm_start_data', 'mm_end_data', 'mm_start_stack', 'mm_start_brk',
            'mm_brk', 'mm_arg_start', 'mm_arg_end', 'mm_env_start', 'mm_env_end')})
        self.images['mm-%d.img' % self.pid] = image('MM', [mm])

    def _tasks(self):
        pid, rnd = self.pid, random.Random(1)
        fown = dict(uid=0, euid=0, signum=0, pid_type=0, pid=0)

        def reg(i, name):
            return msg('file_entry', type='REG', id=i,
                       reg=dict(id=i, flags=0o100000, pos=0, fown=fown, name=name, mnt_id=1, mode=0o100755))

        def core(comm=None, state=1):
            c = msg('core_entry', mtype='X86_64')
            if state == 1:
                fill(rnd, c.thread_info, 9)
                c.thread_info.gpregs.mode = 1
                c.thread_core.futex_rla = c.thread_core.futex_rla_len = 0
            if comm:
                c.tc.task_state, c.tc.comm, c.tc.exit_code, c.tc.personality = state, comm, 0, 0
                c.tc.flags = c.tc.blk_sigset = 0
            return c
        put = self.images
        put['inventory.img'] = image('INVENTORY', [msg('inventory_entry', img_version=2, fdinfo_per_id=True)])
        put['pstree.img'] = image('PSTREE', [
            msg('pstree_entry', pid=pid, ppid=0, pgid=pid, sid=pid, threads=[pid, pid + 1]),
            msg('pstree_entry', pid=pid + 5, ppid=pid, pgid=pid, sid=pid, threads=[0])])
        put['core-%d.img' % pid] = image('CORE', [core('tester')])
        put['core-%d.img' % (pid + 1)] = image('CORE', [core()])
        put['core-%d.img' % (pid + 5)] = image('CORE', [core('gone', 2)])
        put['ids-%d.img' % pid] = image('IDS', [msg('task_kobj_ids_entry', vm_id=1, files_id=2, fs_id=1,
                                                    sighand_id=1)])
        put['fs-%d.img' % pid] = image('FS', [msg('fs_entry', cwd_id=2, root_id=3, umask=0o22)])
        put['fdinfo-2.img'] = image('FDINFO', [
            msg('fdinfo_entry', id=4, flags=0, type='PIPE', fd=3), msg('fdinfo_entry', id=1, flags=0, type='REG', fd=7)])
        put['files.img'] = image('FILES', [
            reg(1, '/bin/tester'), reg(2, '/tmp'), reg(3, '/'),
            msg('file_entry', type='PIPE', id=4, pipe=dict(id=4, pipe_id=77, flags=0, fown=fown))])
        put['pipes-data.img'] = image('PIPES_DATA', [(msg('pipe_data_entry', pipe_id=77, bytes=3), b'abc')])


def pages(*words):
    """A page per word, each filled with it."""
    return b''.join(struct.pack('<Q', w) * (PAGE // 8) for w in words)
