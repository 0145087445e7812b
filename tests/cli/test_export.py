"""`keyward export`: both ways, to a file and to standard output, and what is not whole."""

import contextlib
import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

from support import KEY, PROGRAM, WAIT_SECONDS, Terminal, World, check, check_equal, check_in, environment, main, run
from test_commands import created, each_way

FIRST = b'{"keyward":"export","version":1,"project":"default","exportedAt":"2026-01-01T00:00:00.000Z","peppers":[]}\n'


def keys_of(text):
    """The records of an export, which must be whole."""
    first, *keys, last = [json.loads(line) for line in text.split('\n')[:-1]]
    check_equal((first['keyward'], last), ('export', {'keyward': 'end', 'keys': len(keys)}))
    check(not KEY.search(text), 'a key stands in it')
    return [key['record'] for key in keys]


def test_both_ways(folder):
    def story(world):
        made = [created(world, '--owner', owner, *more)[1] for owner, *more in (
            ('user:1', '--tag', 'ci'), ('team:9', '--org', 'acme', '--tag', 'nightly'), ('user:1', '--env', 'test'))]
        check_equal(keys_of(world.run('export', code=0).out), made)
        check_equal(keys_of(world.run('export', '--out', '-', code=0).out), made, 'on standard output')
        for arguments, wanted in ((('--owner', 'user:1'), [0, 2]), (('--org', 'acme'), [1]), (('--env', 'test'), [2]),
                                  (('--tag', 'ci', '--tag', 'nightly'), [0, 1]),
                                  (('--tag', 'ci', '--tag', 'nightly', '--tag-mode', 'all'), [])):
            check_equal(keys_of(world.run('export', *arguments, code=0).out), [made[at] for at in wanted], arguments)
        document = json.loads(world.run('export', '--format', 'json', code=0).out)
        check_equal([key['record'] for key in document['keys']], made)
        path = os.path.join(folder, 'out')
        told = [world.run('export', '--out', path, code=0).out.replace(path, 'FILE')]
        check_equal(keys_of(pathlib.Path(path).read_text(encoding='utf-8')), made)
        check_equal(os.stat(path).st_mode & 0o777, 0o600)
        done = world.run('export', '--out', path, '--org', 'acme', '--json', '--progress', 'plain', code=0)
        told += [done.out.replace(path, 'FILE'), done.err]
        check_equal(keys_of(pathlib.Path(path).read_text(encoding='utf-8')), made[1:2], 'the file is replaced')
        told.append(world.run('export', '--format', 'xml', '--out', path, code=2).err)
        told.append(world.run('export', '--env', 'nowhere', '--out', path, code=2).err)
        check_equal(keys_of(pathlib.Path(path).read_text(encoding='utf-8')), made[1:2], 'the file stays')
        check_equal([name for name in os.listdir(folder) if '.part' in name], [])
        return told

    told = each_way(folder, story)
    check_equal(told[0], 'Exported 3 keys to FILE.\n')
    check_equal(told[1], '{"keys":1,"file":"FILE"}\n')
    check_in('1 key', told[2])
    check_in('format: must be one of ndjson, json', told[3])


def test_files_that_cannot_be(folder):
    with World(folder, 'data') as world:
        world.run('create', '--owner', 'user:1', code=0)
        for path, what in ((folder, 'no plain file'), ('/dev/null', 'no plain file'), (f'{folder}/none/x', 'cannot be written'),
                           ('', '--out takes'), ('x' * 5000, '--out takes')):
            check_in(what, world.run('export', '--out', path, code=2).err, path[:40])
        check_in('PROJECT_NOT_FOUND', world.run('export', '--project', 'nowhere', '--out', f'{folder}/x', code=2).err)
        check(not os.path.exists(f'{folder}/x'), 'a file for nothing')


def test_each_digest_names_its_pepper(folder):
    with World(folder, 'data') as world:
        world.run('create', '--owner', 'user:1', code=0)
        run('pepper', 'rotate', '--data', world.data, code=0)
        world.run('create', '--owner', 'user:2', code=0)
        first, old, new, _ = [json.loads(line) for line in world.run('export', code=0).out.split('\n')[:-1]]
        check_equal(len(set(first['peppers'])), 2)
        check_equal([new['digest']['pepper'], old['digest']['pepper']], first['peppers'])
        check_equal([old['kept'], new['kept']], [{}, {}])


class Fake(http.server.BaseHTTPRequestHandler):
    """Answers as `story` says, which writes to the connection."""
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        self.server.story(self)
        self.close_connection = True

    def log_message(self, *_):
        pass

    def head(self, *headers):
        self.wfile.write('\r\n'.join(['HTTP/1.1 200 OK', 'Content-Type: application/x-ndjson', *headers, '', '']).encode())

    def chunk(self, data):
        self.wfile.write(b'%x\r\n%s\r\n' % (len(data), data))
        self.wfile.flush()


@contextlib.contextmanager
def fake(story):
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Fake) as server:
        server.story = story
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield {'KEYWARD_URL': f'http://127.0.0.1:{server.server_port}', 'KEYWARD_KEY': 'kw_live_x'}
        finally:
            server.shutdown()


def test_what_is_not_whole(folder):
    path = os.path.join(folder, 'out')
    pathlib.Path(path).write_text('before\n', encoding='utf-8')
    line = b'{"record":{},"digest":{},"kept":{}}\n'

    def broken(handler):
        handler.head('Transfer-Encoding: chunked')
        handler.chunk(FIRST + line)

    def without_end(handler):
        handler.head('Transfer-Encoding: chunked')
        handler.chunk(FIRST + line)
        handler.chunk(b'')

    def short(handler):
        handler.head('Content-Length: 1000')
        handler.wfile.write(FIRST)

    def closed(handler):
        handler.head('Connection: close')
        handler.wfile.write(FIRST + line)

    def miscounted(handler):
        handler.head('Connection: close')
        handler.wfile.write(FIRST + line + b'{"keyward":"end","keys":2}\n')

    def another(handler):
        handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p>\n')

    for story, what in ((broken, 'broke off'), (without_end, 'broke off'), (short, 'broke off'), (closed, 'broke off'),
                        (miscounted, 'broke off'), (another, 'is not Keyward')):
        with fake(story) as env:
            for arguments in (('--out', path), ()):
                done = run('export', *arguments, env=env, code=2)
                check_in(what, done.err, story.__name__)
                check_equal(json.loads(run('export', *arguments, '--json', env=env, code=2).err)['code'], 'FAILED')
        check_equal(pathlib.Path(path).read_text(encoding='utf-8'), 'before\n', story.__name__)
        check_equal(os.listdir(folder), ['out'], story.__name__)


def test_an_interruption_leaves_nothing(folder):
    path = os.path.join(folder, 'out')
    release = threading.Event()

    def hanging(handler):
        handler.head('Transfer-Encoding: chunked')
        handler.chunk(FIRST)
        release.wait(WAIT_SECONDS)

    with fake(hanging) as env:
        process = subprocess.Popen([PROGRAM, 'export', '--out', path], env=environment(**env))
        end = time.monotonic() + WAIT_SECONDS
        while not any(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)):
            check(time.monotonic() < end, 'nothing is written')
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        check_equal(process.wait(WAIT_SECONDS), -signal.SIGINT)
        release.set()
    check_equal(os.listdir(folder), [])


def test_progress_on_a_terminal(folder):
    with World(folder, 'data') as world:
        for number in range(3):
            world.run('create', '--owner', f'user:{number}', code=0)
    data, path = world.data, os.path.join(folder, 'out')
    terminal = Terminal(PROGRAM, 'export', '--data', data, '--out', path)
    check_equal(terminal.wait(), 0)
    check_in('Exported 3 keys', terminal.seen)
    terminal = Terminal(PROGRAM, 'export', '--data', data)
    check_equal(terminal.wait(), 0)
    keys_of(terminal.seen.replace('\r\n', '\n'))


def test_the_documentations_examples(folder):
    page = pathlib.Path(__file__).parents[2].joinpath('docs', 'export.md').read_text(encoding='utf-8')
    examples = re.findall(r'```sh\n(.*?)```', page, re.DOTALL)
    check(len(examples) == 2, examples)
    with World(folder, 'url') as world:
        created(world, '--owner', 'team:9', '--org', 'acme', '--tag', 'ci')
        created(world, '--owner', 'user:1')
        place = os.path.join(folder, 'examples')
        os.makedirs(os.path.join(place, 'bin'))
        os.symlink(PROGRAM, os.path.join(place, 'bin', 'keyward'))
        env = environment(KEYWARD_URL=world.server.url, **world.env)
        env['PATH'] = os.path.join(place, 'bin') + ':' + env['PATH']
        told = [subprocess.run(['bash', '-euc', example], cwd=place, env=env, check=True, capture_output=True, text=True).stdout
                for example in examples]
        check_in('Exported 2 keys to keys.ndjson.\nExported 1 key to acme.json.\n', told[0])
        check_equal(told[0].splitlines()[-1], '{"keyward":"end","keys":2}')
        check_equal(told[1], '{"keyward":"end","keys":1}\n')
        keys_of(pathlib.Path(place, 'team.ndjson').read_text(encoding='utf-8'))
        json.loads(pathlib.Path(place, 'acme.json').read_text(encoding='utf-8'))


if __name__ == '__main__':
    main([test_both_ways, test_each_digest_names_its_pepper, test_files_that_cannot_be, test_what_is_not_whole, test_an_interruption_leaves_nothing,
          test_progress_on_a_terminal, test_the_documentations_examples])
