"""kill -9 after use was counted: what was written before the kill is there, reports that were acknowledged are there to the
last millionth, and nothing is counted twice.

    test_usage.py PROGRAM     KW_TEST_SEED replays the draws; KW_TEST_KILLS sets how many kills (10)

What is written shows in a metric, so nothing here waits for a time.
"""

import http.client
import os
import random
import secrets
import sys
import tempfile
import time
import traceback

from load import ask
from model import Failed, check
from server import Server

KILLS = min(int(os.environ.get('KW_TEST_KILLS', 10)), 30)
WAIT_SECONDS_MAX = 60
KEYS = 4
CROWD = 3000  # keys: more than are added to their counts at once (KW_USAGE_AT_ONCE)
TOGETHER = 1000


class Life:
    """A data folder whose server is killed, and what must be in it."""

    def __init__(self, program, folder, draw):
        self.draw = draw
        self.server = Server(program, folder)
        self.keys = []
        self.sure = []     # verifications of each key that were written before a kill
        self.may_be = []   # and those that came after, each of which may be lost
        self.tokens = []   # reported and acknowledged
        self.crowd = []    # keys that are used all at once; each was used `crowd_sure` times before a kill
        self.crowd_sure = self.crowd_may_be = 0
        self.deferred = False  # whether anything was seen to wait in the store
        self.counted = 0   # verifications since the server's start, those of the management key too

    def start(self):
        self.server.start()
        self.counted = 0

    def ask(self, method, path, body=None, status=200):
        self.counted += 1
        answered, content = ask(self.server.root, self.server.port, method, path, body)
        check(answered == status, f'{method} {path} -> {answered} {content}')
        return content

    def metric(self, name):
        connection = http.client.HTTPConnection('127.0.0.1', self.server.port, timeout=20)
        connection.request('GET', '/metrics')
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return int([line for line in lines if line.startswith(name + ' ')][0].split()[1])

    def written(self):
        return self.metric('keyward_uses_written_total')

    def wait_until_written(self):
        until = time.monotonic() + WAIT_SECONDS_MAX
        while self.written() < self.counted:
            self.deferred |= self.metric('keyward_uses_deferred_bytes') > 0
            check(time.monotonic() < until, f'{self.written()} of {self.counted} verifications are written')
        self.deferred |= self.metric('keyward_uses_deferred_bytes') > 0
        check(self.written() == self.counted, f'{self.written()} are written of {self.counted} verifications')

    def make_keys(self):
        for _ in range(KEYS):
            made = self.ask('POST', '/v1/keys', {'ownerId': 'crash'}, status=201)
            self.keys.append((made['key'], made['record']['id']))
            self.sure.append(0)
            self.may_be.append(0)
            self.tokens.append(0)

    def make_crowd(self):
        for _ in range(CROWD // TOGETHER):
            items = [{'ownerId': f'crowd{at}'} for at in range(TOGETHER)]
            made = self.ask('POST', '/v1/keys/batch/create', {'items': items})['items']
            self.crowd += [(item['key'], item['record']['id']) for item in made]

    def use_crowd(self):
        for first in range(0, CROWD, TOGETHER):
            items = [{'key': key} for key, _ in self.crowd[first:first + TOGETHER]]
            answer = self.ask('POST', '/v1/keys/batch/verify', {'items': items})
            check(all(item['valid'] for item in answer['items']), 'good keys')
            self.counted += TOGETHER

    def use(self, counts, times):
        for _ in range(times):
            at = self.draw.randrange(KEYS)
            check(self.ask('POST', '/v1/keys/verify', {'key': self.keys[at][0], 'endpoint': 'GET /'})['valid'], 'a good key')
            counts[at] += 1
            self.counted += 1

    def report(self):
        at = self.draw.randrange(KEYS)
        amount = self.draw.randrange(1, 10 ** 9)
        self.ask('POST', f'/v1/keys/{self.keys[at][1]}/usage', {'tokens': amount / 10 ** 6})
        self.tokens[at] += amount

    def run(self, is_last):
        """From a start to a kill."""
        self.use(self.sure, self.draw.randrange(1, 40))
        self.report()
        self.use_crowd()
        self.crowd_sure += 1
        self.wait_until_written()
        self.use(self.may_be, self.draw.randrange(0, 20))
        self.report()
        if is_last:  # before, each key of the crowd must have been counted as often as it was used
            self.use_crowd()
            self.crowd_may_be += 1
        self.server.kill()

    def compare(self):
        for at, (_, name) in enumerate(self.keys):
            counts = self.ask('GET', f'/v1/keys/{name}/usage?by=day')['totals']
            low, high = self.sure[at], self.sure[at] + self.may_be[at]
            check(low <= counts['valid'] <= high, f'{counts["valid"]} verifications instead of {low} to {high}')
            check(counts['valid'] == counts['verifications'], f'codes {counts}')
            self.sure[at], self.may_be[at] = counts['valid'], 0
            metrics = self.ask('GET', f'/v1/keys/{name}/usage?by=day&group=metric')['totals']['counts']
            tokens = round(metrics.get('tokens', 0) * 10 ** 6)
            check(tokens == self.tokens[at], f'{tokens} millionths of tokens instead of {self.tokens[at]}')
            check(metrics.get('requests', 0) == counts['valid'], f'{metrics} beside {counts}')
            shown = self.ask('GET', f'/v1/keys/{name}')
            check(('lastUsedAt' in shown) == (counts['valid'] > 0), f'lastUsedAt beside {counts}: {shown}')
        self.compare_crowd()

    def compare_crowd(self):
        """A few of the crowd by themselves, and some of them together."""
        low, high = self.crowd_sure, self.crowd_sure + self.crowd_may_be
        for _, name in self.draw.sample(self.crowd, 20):
            valid = self.ask('GET', f'/v1/keys/{name}/usage?by=day')['totals']['valid']
            check(low <= valid <= high, f'{valid} verifications of one of the crowd instead of {low} to {high}')
        owner = self.ask('GET', '/v1/usage?ownerId=crowd7&by=day')['totals']['valid']
        each = CROWD // TOGETHER
        check(low * each <= owner <= high * each, f'{owner} verifications of {each} keys of one owner, {low} to {high} of each')


def main():
    seed = os.environ.get('KW_TEST_SEED', secrets.token_hex(8))
    print('TAP version 13\n1..1', flush=True)
    with tempfile.TemporaryDirectory(prefix='keyward-crash-usage-') as folder:
        life = Life(sys.argv[1], folder, random.Random(seed))
        try:
            for kill in range(KILLS):
                life.start()
                if kill == 0:
                    life.make_keys()
                    life.make_crowd()
                else:
                    life.compare()
                life.run(kill == KILLS - 1)
            life.start()
            life.compare()
            life.server.kill()
            check(life.deferred, 'nothing was ever deferred')
            print(f'ok 1 - what was written survives {KILLS} kills')
            return 0
        except Exception as error:
            reason = str(error) if isinstance(error, Failed) else traceback.format_exc()
            print(f'not ok 1 - what was written survives kills (seed {seed})\n# ' + reason.replace('\n', '\n# '), flush=True)
            if life.server.process is not None and life.server.process.poll() is None:
                life.server.kill()
            return 1


if __name__ == '__main__':
    sys.exit(main())
