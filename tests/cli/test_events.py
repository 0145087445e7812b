"""The log of events on the command line: listed on a data folder and behind a server alike, and followed."""

import json
import os
import signal
import subprocess
import threading
import time

from support import PROGRAM, WAIT_SECONDS, Server, World, check, check_equal, check_in, environment, main
from test_commands import created, each_way


def test_events_are_listed(folder):
    def story(world):
        record = created(world, '--owner', 'user:1', '--name', 'worker')[1]
        world.run('disable', record['id'], '--reason', 'too loud', code=0)
        world.run('revoke', record['id'], code=0)
        lines = world.run('events', '--key', record['id'], code=0).out.splitlines()
        check_equal([line.split()[1] for line in lines], ['key.created', 'key.disabled', 'key.revoked'])
        check(lines[1].endswith('  worker  too loud') and record['id'] in lines[1] and 'user:1' in lines[1], lines[1])
        found = json.loads(world.run('events', '--type', 'revoked', '--type', 'policy.*', '--json', code=0).out)
        check_equal([item['event'] for item in found['items']], ['key.revoked'])
        more = world.run('events', '--type', 'key.*', '--limit', '2', code=0).out.splitlines()[-1]
        check_in('There is more: --cursor=', more)
        rest = world.run('events', '--type', 'key.*', '--limit', '2', more.split()[-1], code=0).out.splitlines()
        check_equal([line.split()[1] for line in rest[:1]], ['key.revoked'])
        back = world.run('events', '--type', 'key.*', '--sort', '-timestamp', '--limit', '1', code=0).out
        check_in('key.revoked', back)
        check_in('docs/events.md', world.run('events', '--type', 'flown', code=2).err)
        return ['\n'.join(lines)]

    each_way(folder, story)


class Follower:
    """`keyward events --follow`; what it says is gathered as it comes."""

    def __init__(self, url, key, *arguments):
        self.process = subprocess.Popen([PROGRAM, 'events', '--follow', '--url', url, *arguments], env=environment(KEYWARD_KEY=key),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.decode())

    def wait_for(self, count):
        end = time.monotonic() + WAIT_SECONDS * 2
        while len(self.lines) < count:
            check(time.monotonic() < end and self.process.poll() is None, f'{count} lines in time: {self.lines}')
            time.sleep(0.01)
        return self.lines[:count]

    def stop(self, number):
        self.process.send_signal(number)
        code = self.process.wait(WAIT_SECONDS)
        self.reader.join(WAIT_SECONDS)
        self.process.stdout.close()
        said = self.process.stderr.read().decode()
        self.process.stderr.close()
        return code, said


def test_events_are_followed_over_a_restart(folder):
    with World(folder, 'url') as world:
        port = world.server.url.rsplit(':', 1)[1]
        first = created(world, '--owner', 'user:1')[1]['id']
        with Follower(world.server.url, world.root_key, '--type', 'created', '--cursor', '0', '--json') as follower:
            check_equal([json.loads(line)['data']['keyId'] for line in follower.wait_for(1)], [first])
            second = created(world, '--owner', 'user:2')[1]['id']
            follower.wait_for(2)
            check_equal(world.server.stop(), 0)
            with Server(world.data, listen=f'127.0.0.1:{port}', env={'KEYWARD_ROOT_KEY': world.root_key}):
                third = created(world, '--owner', 'user:3')[1]['id']
                told = [json.loads(line) for line in follower.wait_for(3)]
                check_equal([event['data']['keyId'] for event in told], [first, second, third])
                check_equal(len({event['id'] for event in told}), 3)
                check_equal(follower.stop(signal.SIGINT), (0, ''))


def test_only_what_is_asked_for_is_followed(folder):
    with World(folder, 'url') as world:
        with Follower(world.server.url, world.root_key, '--type', 'revoked', '--cursor', '0') as follower:
            record = created(world, '--owner', 'user:1')[1]
            world.run('revoke', record['id'], '--reason', 'seen', code=0)
            line = follower.wait_for(1)[0]
            check('key.revoked' in line and line.endswith('  seen\n'), line)
            check_equal(follower.stop(signal.SIGTERM), (0, ''))


def test_what_cannot_be_followed_is_refused(folder):
    with World(folder, 'data') as world:
        created(world, '--owner', 'user:1')
        check_in('needs a server', world.run('events', '--follow', code=2).err)
    with World(folder, 'url') as world:
        check_in('docs/events.md', world.run('events', '--follow', '--type', 'flown', code=2).err)
        check_in('key', world.run('events', '--follow', '--management-key-file', write(folder, 'kw_live_' + 'a' * 38), code=2).err)
        url = world.server.url
    check_in('no server answers', Nowhere(url).err)


def write(folder, text):
    path = os.path.join(folder, 'key-file')
    with open(path, 'w', encoding='ascii') as file:
        file.write(text + '\n')
    os.chmod(path, 0o600)
    return path


class Nowhere:
    """Nobody listens there any more."""

    def __init__(self, url):
        done = subprocess.run([PROGRAM, 'events', '--follow', '--url', url], env=environment(KEYWARD_KEY='kw_live_' + 'a' * 38),
                              capture_output=True, check=False, timeout=WAIT_SECONDS)
        check_equal(done.returncode, 2)
        self.err = done.stderr.decode()


if __name__ == '__main__':
    main([case for name, case in sorted(globals().items()) if name.startswith('test_')])
