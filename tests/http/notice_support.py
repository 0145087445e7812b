"""Receivers of notices: a mail server with TLS and a login, a chat of the Slack form, and programs that a command runs."""

import asyncio
import contextlib
import email
import email.policy
import http.server
import json
import logging
import os
import pathlib
import ssl
import subprocess
import tempfile
import threading
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

warnings.filterwarnings('ignore', module='aiosmtpd')  # what it says of its own use of itself
logging.getLogger('mail.log').setLevel(logging.CRITICAL)

PASSWORD = 'correct horse battery staple'


def certificate(folder):
    """(key, certificate) for 127.0.0.1."""
    key, cert = pathlib.Path(folder, 'key.pem'), pathlib.Path(folder, 'cert.pem')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days',
                    '30', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', str(key), '-out',
                    str(cert)], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return key, cert


class Mail:
    """One mail as it arrived."""

    def __init__(self, envelope, over_tls):
        self.sender, self.recipients, self.over_tls = envelope.mail_from, envelope.rcpt_tos, over_tls
        self.raw = envelope.original_content
        self.message = email.message_from_bytes(self.raw, policy=email.policy.default)

    def part(self, kind):
        return next(part for part in self.message.walk() if part.get_content_type() == kind).get_content()


class MailServer:
    """A relay on a free port: `tls` is 'starttls', 'tls' or 'none'. While `answer` is set, that is what it says to a mail."""

    def __init__(self, folder, tls='starttls', user=None):
        self.mails, self.answer, self.refused, self.tries = [], None, set(), 0
        self.hold = None  # an event: what the answer to a mail waits for
        context = None
        if tls != 'none':
            key, self.cert = certificate(folder)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.cert, key)
        self.user = user

        def make():
            return SMTP(self, hostname='relay.test', tls_context=context if tls == 'starttls' else None,
                        require_starttls=tls == 'starttls', auth_required=user is not None,
                        auth_require_tls=tls == 'starttls', authenticator=self.authenticate, loop=self.loop)
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(
            self.loop.create_server(make, '127.0.0.1', 0, ssl=context if tls == 'tls' else None))
        self.port = self.server.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def authenticate(self, _server, _session, _envelope, _mechanism, data):
        good = (data.login, data.password) == (self.user.encode(), PASSWORD.encode())
        return AuthResult(success=good)

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        if address in self.refused:
            return '550 there is nobody of this name'
        envelope.rcpt_tos.append(address)
        return '250 OK'

    async def handle_DATA(self, _server, session, envelope):
        self.tries += 1
        if self.answer is None:
            self.mails.append(Mail(envelope, session.ssl is not None))
        answer = self.answer or '250 OK'
        if self.hold is not None:
            await asyncio.get_running_loop().run_in_executor(None, self.hold.wait, 60)
        return answer

    def close(self):
        async def end():
            self.server.close()
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()
        asyncio.run_coroutine_threadsafe(end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


class Chat:
    """Takes POSTs of JSON on a free port, and answers with `status`."""

    def __init__(self):
        self.texts, self.paths, self.status, self.hold, self.tries = [], [], 200, None, 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                outer.tries += 1
                if outer.hold is not None:
                    outer.hold.wait(60)
                if outer.status == 200:
                    outer.paths.append(self.path)
                    outer.texts.append(json.loads(body)['text'])
                self.send_response(outer.status)
                self.send_header('Content-Length', '2')
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(b'ok')

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def url(self, secret='T00/B00/verysecret'):
        return f'http://127.0.0.1:{self.port}/services/{secret}'

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Programs:
    """Commands: one that keeps what it was given, one that fails, one that does not end, one that prints without end."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder, 'programs')
        self.kept = self.folder / 'kept'
        self.kept.mkdir(parents=True)
        self.keep = self.write('keep', 'd=$(mktemp -d "$1/XXXXXX"); cat >"$d/text"; env >"$d/env"; echo "$2" >"$d/argument"; mv "$d" "$d.done"')
        self.fail = self.write('fail', 'cat >/dev/null; echo "it is broken"; exit 3')
        self.sleep = self.write('sleep', 'sleep 300 & echo $! >"$1/sleeper"; sleep 300')
        self.shout = self.write('shout', 'yes')

    def write(self, name, text):
        path = self.folder / name
        path.write_text('#!/bin/sh\n' + text + '\n', encoding='ascii')
        path.chmod(0o755)
        return str(path)

    def commands(self):
        return [{'name': 'keep', 'program': self.keep, 'arguments': [str(self.kept), '$(touch x); "y"']},
                {'name': 'fail', 'program': self.fail}, {'name': 'sleep', 'program': self.sleep, 'arguments': [str(self.folder)], 'timeout': '1s'},
                {'name': 'shout', 'program': self.shout, 'timeout': '1s'}]

    def messages(self):
        """What was kept: [(text, environment, argument)]."""
        found = []
        for path in sorted(self.kept.glob('*.done'), key=lambda path: path.stat().st_mtime_ns):
            env = dict(line.split('=', 1) for line in (path / 'env').read_text().splitlines() if '=' in line)
            found.append(((path / 'text').read_text(), env, (path / 'argument').read_text().strip()))
        return found


class Place:
    """A folder with all of them and a configuration file, for the life of a test."""

    def __init__(self, tls='starttls', user='keyward'):
        self.temporary = tempfile.TemporaryDirectory(prefix='keyward-notices-')
        self.mail = MailServer(self.temporary.name, tls, user)
        self.chat = Chat()
        self.programs = Programs(self.temporary.name)
        self.config = pathlib.Path(self.temporary.name, 'config.json')
        smtp = {'host': '127.0.0.1', 'port': self.mail.port, 'tls': tls, 'from': 'keyward@example.com', 'allowPrivate': ['127.0.0.1']}
        if tls != 'none':
            smtp['caFile'] = str(self.mail.cert)
        if user is not None:
            password = pathlib.Path(self.temporary.name, 'password')
            password.touch(0o600)
            password.write_text(PASSWORD + '\n')
            smtp |= {'user': user, 'passwordFile': str(password)}
        self.settings = {'smtp': smtp, 'commands': self.programs.commands()}
        self.write(self.settings)

    def write(self, settings):
        self.config.write_text(settings if isinstance(settings, str) else json.dumps(settings))
        os.chmod(self.config, 0o600)

    def options(self, *more):
        return ('--config', str(self.config), *more)

    def close(self):
        self.mail.close()
        self.chat.close()
        self.temporary.cleanup()
