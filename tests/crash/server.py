"""`keyward serve` on one data folder, started and killed again and again."""

import contextlib
import os
import pathlib
import re
import subprocess
import time

from model import check

START_SECONDS_MAX = 60
STARTED = re.compile(rb'"server_started".*?"port":(\d+)')
KILLED = -9


class Server:
    options = ()  # of serve, beside the usual

    def __init__(self, program, folder):
        self.program = program
        self.data = pathlib.Path(folder, 'data')
        self.log_path = pathlib.Path(folder, 'log')
        self.root = subprocess.run([program, 'generate', '--management'], check=True, capture_output=True, text=True,
                                   timeout=START_SECONDS_MAX).stdout.strip()
        self.process = None
        self.port = None

    def spawn(self):
        self.port = None
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(
                [self.program, 'serve', '--data', str(self.data), '--listen', '127.0.0.1:0', '--loops', '2', *self.options],
                env={**os.environ, 'KEYWARD_ROOT_KEY': self.root}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def log(self):
        return self.log_path.read_text(errors='replace')[-4000:]

    def look(self):
        """One look at the start: true when the server listens. Counting looks is the clock of the kills."""
        check(self.process.poll() is None, f'the server ended with {self.process.returncode}:\n{self.log()}')
        found = STARTED.search(self.log_path.read_bytes())
        self.port = int(found.group(1)) if found else None
        return found is not None

    def database_size(self):
        """Of all its files together."""
        size = 0
        for end in ('', '-wal', '-journal'):
            with contextlib.suppress(FileNotFoundError):
                size += os.stat(f'{self.data}/keyward.db{end}').st_size
        return size

    def start(self):
        """How many looks it took."""
        self.spawn()
        until = time.monotonic() + START_SECONDS_MAX
        looks = 1
        while not self.look():
            check(time.monotonic() < until, f'the server did not start:\n{self.log()}')
            looks += 1
        return looks

    def kill(self):
        """True when it was the kill that ended it."""
        self.process.kill()
        return self.process.wait() == KILLED

    def stop(self):
        self.process.terminate()
        check(self.process.wait(timeout=60) == 0, f'exit code {self.process.returncode}:\n{self.log()}')

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
