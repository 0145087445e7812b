"""What the tests of the command line share: TAP, runs of the program, servers, and what differs from run to run."""

import contextlib
import difflib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback

PROGRAM = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else 'keyward'
WAIT_SECONDS = 30

ID = re.compile(r'key_[0-7][0-9A-HJKMNP-TV-Z]{25}')
KEY = re.compile(r'\b(?:sk|pk|kw)_(?:live_|test_)[0-9A-Za-z]{38,}')


class Failed(Exception):
    """A check that did not hold."""


def check(condition, message):
    if not condition:
        raise Failed(message)


def check_equal(actual, expected, what=''):
    if actual != expected:
        lines = difflib.unified_diff(str(expected).splitlines(), str(actual).splitlines(), 'expected', 'actual', '', '', 1, '')
        raise Failed('\n'.join([str(what), *lines]))


def check_in(part, text, what=''):
    if part not in text:
        raise Failed(f'{what}\n--- expected in it\n{part}\n--- actual\n{text}\n---')


def check_sane(text):
    """No sanitizer has complained."""
    check('Sanitizer' not in text and 'runtime error:' not in text, text)


def main(cases):
    """Runs the cases, or those whose names contain the second argument."""
    part = sys.argv[2] if len(sys.argv) > 2 else ''
    chosen = [case for case in cases if part in case.__name__]
    print(f'1..{len(chosen)}', flush=True)
    failed = 0
    for number, case in enumerate(chosen, 1):
        try:
            with tempfile.TemporaryDirectory(prefix='keyward-cli-') as folder:
                case(folder)
            print(f'ok {number} - {case.__name__}', flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f'not ok {number} - {case.__name__}', flush=True)
            for line in traceback.format_exc().splitlines():
                print(f'# {line}', flush=True)
    sys.exit(1 if failed else 0)


def environment(**more):
    """A small environment, the same wherever the tests run."""
    kept = {name: os.environ[name] for name in ('PATH', 'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'LSAN_OPTIONS', 'TSAN_OPTIONS')
            if name in os.environ}
    return {**kept, 'LANG': 'C', **{name: value for name, value in more.items() if value is not None}}


class Result:
    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout.decode(errors='surrogateescape')
        self.err = done.stderr.decode(errors='surrogateescape')

    def __repr__(self):
        return f'exit code {self.code}\nstdout: {self.out}\nstderr: {self.err}'


def run(*arguments, env=None, stdin=b'', cwd=None, before=None, code=None):
    """One run. With `code` the exit code must be that."""
    stdin = stdin.encode() if isinstance(stdin, str) else stdin
    done = Result(subprocess.run([PROGRAM, *arguments], env=environment(**(env or {})), input=stdin, cwd=cwd,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=before, check=False,
                                 timeout=WAIT_SECONDS * 4))
    check_sane(done.err)
    if code is not None:
        check(done.code == code, f'keyward {" ".join(arguments)}: expected exit code {code}\n{done}')
    return done


def generate_root_key():
    return run('generate', '--management', code=0).out.strip()


class Server:
    """`keyward serve` without a terminal; what it says is in `out`, its log in `log()`."""

    def __init__(self, data, *arguments, env=None, before=None, listen='127.0.0.1:0'):
        self.log_file = tempfile.TemporaryFile()
        self.process = subprocess.Popen([PROGRAM, 'serve', '--data', data, '--listen', listen, *arguments],
                                        env=environment(**(env or {})), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.log_file, preexec_fn=before)
        self.out = ''
        self.url = self.wait_for(re.compile(r'listens on (https?://\S+)'))

    def wait_for(self, pattern):
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            ready, _, _ = select.select([self.process.stdout], [], [], 0.1)
            piece = os.read(self.process.stdout.fileno(), 65536).decode() if ready else ''
            self.out += piece
            found = pattern.search(self.out)
            if found:
                return found.group(1)
            if ready and not piece:
                break
        self.stop()
        raise Failed(f'the server did not start\nstdout: {self.out}\nstderr: {self.log()}')

    def log(self):
        self.log_file.seek(0)
        return self.log_file.read().decode(errors='replace')

    def stop(self):
        """Asks it to end; gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed(f'the server did not end\n{self.log()}') from None
        finally:
            self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        check_sane(self.log())
        self.log_file.close()


class Terminal:
    """A program whose three streams are a pseudo-terminal."""

    def __init__(self, *command, env=None, cwd=None):
        self.seen = ''
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(cwd or '.')
                os.execve(command[0], command, environment(**{'TERM': 'xterm', **(env or {})}))
            finally:
                os._exit(127)  # a child that is no keyward must not go on as a second test

    def wait_for(self, text):
        end = time.monotonic() + WAIT_SECONDS
        while text not in self.seen:
            check(time.monotonic() < end, f'no {text!r} in\n{self.seen}')
            if not self.read_some(0.1):
                break
        check_in(text, self.seen)
        return self.seen

    def read_some(self, seconds):
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return True
        try:
            piece = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += piece.decode(errors='replace')
        return bool(piece)

    def type(self, text):
        os.write(self.fd, text.encode())

    def stop(self, number=signal.SIGTERM):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        return self.wait()

    def wait(self):
        """Reads what is left, then gives the exit code."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end and self.read_some(0.1):
            pass
        if time.monotonic() >= end:
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def ageless(text):
    """Without how long ago anything was, which is another thing in a later run."""
    text = re.sub(r'\((?:now|\d+ (?:second|minute)s? ago)\)', '(JUST-NOW)', text)
    return re.sub(r'(?<=  )(?:now|\d+ (?:second|minute)s? ago) {2,}', 'JUST-NOW  ', text)


class Normal:
    """Makes texts of different runs alike: ids are numbered as they appear, keys, times and actors have names."""

    def __init__(self):
        self.ids = {}

    def number(self, match):
        number = self.ids.setdefault(match.group(0), len(self.ids) + 1)
        return f'key_{number:026d}'

    def __call__(self, text):
        text = re.sub(r'key:' + ID.pattern, 'ACTOR', text)
        text = re.sub(r'\boperator\b', 'ACTOR', text)
        text = KEY.sub('FULL-KEY', text)
        text = ID.sub(self.number, text)
        text = re.sub(r'…[0-9A-Za-z]{4}', '…LAST', text)
        text = re.sub(r'"lastFour":"[0-9A-Za-z]{4}"', '"lastFour":"LAST"', text)
        text = re.sub(r'"requestId":"[^"]*",?', '', text)
        text = re.sub(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', 'TIME', text)
        text = re.sub(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC', 'TIME', text)
        return re.sub(r'CREATED {2,}', 'CREATED  ', ageless(text))


class World:
    """Keys on a data folder, or the same behind a server: commands are run alike."""

    def __init__(self, folder, way, *serve_arguments):
        self.data = os.path.join(folder, way)
        self.way = way
        self.root_key = generate_root_key()
        self.server = None
        if way == 'url':
            self.server = Server(self.data, *serve_arguments, env={'KEYWARD_ROOT_KEY': self.root_key})
            self.where = ['--url', self.server.url]
            self.env = {'KEYWARD_KEY': self.root_key}
        else:
            self.where = ['--data', self.data]
            self.env = {}

    def run(self, command, *arguments, **options):
        return run(command, *arguments, *self.where, env=self.env, **options)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.server:
            self.server.__exit__(*error)
