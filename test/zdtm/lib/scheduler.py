# SPDX-License-Identifier: GPL-2.0-only
"""So many runs at a time, each in a process of its own; each verdict is a line, and the last line counts them."""
import json
import os
import select
import signal
import sys
import time

from run import CRIU_LIMIT, run_one


class Scheduler:
    def __init__(self, opts):
        self.o, self.running = opts, {}
        self.counts = {'PASS': 0, 'FAIL': 0, 'SKIP': 0}
        self.failed = []

    def say(self, job, verdict, text, seconds):
        self.counts[verdict] += 1
        label = '%s %s%s' % (job['name'], job['flavour'], '' if not job['user'] else ' uid %d' % job['user'])
        print('%s %-52s %5.2f s%s' % (verdict, label, seconds, ('  ' + text) if text else ''), flush=True)
        if verdict == 'FAIL':
            self.failed.append(label)

    def start(self, job):
        r, w = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            os.close(r)
            signal.set_wakeup_fd(-1)
            code = 1
            try:
                data = json.dumps(run_one(job, self.o)).encode()
                while data:
                    data = data[os.write(w, data):]
                code = 0
            finally:
                sys.stdout.flush()
                os._exit(code)
        os.close(w)
        self.running[r] = (pid, job, time.time(), [])

    def collect(self):
        limit = 60 + self.o.iters * (CRIU_LIMIT + 60)
        ready = select.select(list(self.running), [], [], 1)[0]
        for r in ready:
            pid, job, since, data = self.running[r]
            piece = os.read(r, 65536)
            if piece:
                data.append(piece)
                continue
            os.close(r)
            del self.running[r]
            os.waitpid(pid, 0)
            try:
                verdict, text = json.loads(b''.join(data))
            except ValueError:
                verdict, text = 'FAIL', 'the runner died'
            self.say(job, verdict, text, time.time() - since)
        for r, (pid, job, since, data) in self.running.items():
            if time.time() - since > limit:
                os.kill(pid, signal.SIGTERM)

    def run(self, jobs):
        jobs = list(jobs)
        try:
            while jobs or self.running:
                stop = self.failed and not self.o.keep_going
                alone = any(j['excl'] for _, j, _, _ in self.running.values())
                while jobs and not stop and not alone and len(self.running) < self.o.parallel:
                    if jobs[0]['excl'] and self.running:
                        break
                    self.start(jobs.pop(0))
                    alone = self.o.parallel == 1
                if not self.running:
                    break
                self.collect()
        finally:
            for r, (pid, job, since, data) in self.running.items():
                os.kill(pid, signal.SIGTERM)
                os.waitpid(pid, 0)
        if self.failed:
            print('failed: ' + ', '.join(self.failed))
        print('%d passed, %d failed, %d skipped' % (self.counts['PASS'], self.counts['FAIL'], self.counts['SKIP']))
        return 1 if self.counts['FAIL'] else 0
