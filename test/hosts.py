# SPDX-License-Identifier: GPL-2.0-only
"""Two hosts on one machine: network namespaces of our own, joined by a link that may be as slow as one likes. They are gone with the process that made
them."""
import ctypes
import os
import signal
import subprocess

SRC, DST = '10.88.0.1', '10.88.0.2'


def die_with_us():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)   # PR_SET_PDEATHSIG


class Hosts:
    """in_src and in_dst go before a command that shall run there."""

    def __init__(self, rate=None):
        self.holders = [subprocess.Popen(['unshare', '-n', 'sleep', 'infinity'], preexec_fn=die_with_us) for _ in range(2)]
        self.in_src, self.in_dst = ([*('nsenter', '-t', str(p.pid), '-n')] for p in self.holders)
        try:
            self.wait()
            a, b = (str(p.pid) for p in self.holders)
            run('ip', 'link', 'add', 'veth', 'netns', a, 'type', 'veth', 'peer', 'name', 'veth', 'netns', b)
            for where, address in ((self.in_src, SRC), (self.in_dst, DST)):
                run(*where, 'ip', 'addr', 'add', address + '/24', 'dev', 'veth')
                for dev in ('lo', 'veth'):
                    run(*where, 'ip', 'link', 'set', dev, 'up')
                if rate:
                    run(*where, 'tc', 'qdisc', 'add', 'dev', 'veth', 'root', 'tbf', 'rate', rate, 'burst', '256kb', 'latency', '50ms')
        except BaseException:
            self.close()
            raise

    def wait(self):
        """Until unshare has made the namespaces."""
        ours = os.readlink('/proc/self/ns/net')
        for p in self.holders:
            while os.readlink('/proc/%d/ns/net' % p.pid) == ours:
                if p.poll() is not None:
                    raise OSError('unshare -n failed')

    def close(self):
        for p in self.holders:
            p.kill()
            p.wait()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def run(*cmd):
    subprocess.run(cmd, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
