"""The configuration of nginx in docs/proxy.md, between a client and Keyward."""

import http.client
import http.server
import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

from api_support import START_SECONDS_MAX, Failed, check, equal, main

NGINX = '/usr/sbin/nginx'
DOCS = pathlib.Path(__file__).resolve().parents[2] / 'docs'
PAGE = DOCS / 'proxy.md'
HERE, ELSEWHERE = '127.0.0.2', '127.0.0.3'


class Service(http.server.BaseHTTPRequestHandler):
    """What stands behind the gateway: answers with the headers that it was sent."""

    def do_GET(self):
        body = ''.join(f'{name.lower()}: {value}\n' for name, value in self.headers.items()).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def documented():
    """The server block of the page."""
    text = PAGE.read_text(encoding='utf-8')
    found = re.search(r'^server \{\n.*?^\}\n', text, re.MULTILINE | re.DOTALL)
    check(found, 'docs/proxy.md shows no server')
    return found.group(0)


def documented_project():
    """The project whose profile the page names, as docs/projects.md has it."""
    text = (DOCS / 'projects.md').read_text(encoding='utf-8')
    return json.loads(re.search(r'```json file=keyward.json\n(.*?)```', text, re.DOTALL).group(1))['projects'][0]


def replace_once(text, old, new):
    equal(text.count(old), 1, f'times that {old!r} stands in the configuration')
    return text.replace(old, new)


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Gateway:
    def __init__(self, keyward_port):
        self.service = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Service)
        threading.Thread(target=self.service.serve_forever, daemon=True).start()
        self.folder = tempfile.TemporaryDirectory(prefix='keyward-proxy-')
        self.port = free_port()
        block = replace_once(documented(), 'listen 80;', f'listen 127.0.0.1:{self.port};')
        block = replace_once(block, '127.0.0.1:7411', f'127.0.0.1:{keyward_port}')
        block = replace_once(block, '127.0.0.1:8080', f'127.0.0.1:{self.service.server_port}')
        kept = ''.join(f'{name}_temp_path {self.folder.name}/{name};\n'
                       for name in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
        configuration = pathlib.Path(self.folder.name, 'nginx.conf')
        configuration.write_text(f'daemon off;\nmaster_process off;\npid {self.folder.name}/pid;\nevents {{}}\n'
                                 f'http {{\naccess_log off;\n{kept}{block}}}\n', encoding='utf-8')
        self.process = subprocess.Popen([NGINX, '-c', configuration, '-e', f'{self.folder.name}/log'])
        self.wait()

    def wait(self):
        until = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < until and self.process.poll() is None:
            if pathlib.Path(self.folder.name, 'pid').exists():  # written when it listens
                return
            time.sleep(0.02)
        raise Failed(f'nginx did not start: {pathlib.Path(self.folder.name, "log").read_text(encoding="utf-8")}')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=20)
        self.service.shutdown()
        self.service.server_close()
        self.folder.cleanup()

    def get(self, key, source=HERE, **headers):
        """Status and body of a request that comes from there."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=20, source_address=(source, 0))
        try:
            connection.request('GET', '/orders?x=1', headers={
                'Authorization': f'Bearer {key}', **{name.replace('_', '-'): value for name, value in headers.items()}})
            response = connection.getresponse()
            self.retry_after = response.getheader('Retry-After')
            return response.status, response.read().decode()
        finally:
            connection.close()


def the_gateway_of_the_page_works(server):
    server.expect(201, 'POST', '/v1/projects', documented_project())
    def create(**fields):
        return server.create({'owner': 'team:billing', 'scopes': ['orders:read'], **fields}, headers={'Keyward-Project': 'shop'})[0]
    here = create(allowedIPs=[HERE])
    plain = create()
    limited = create(rateLimit={'requests': 1, 'window': '1h'})
    with Gateway(server.port) as gateway:
        status, body = gateway.get(here, Keyward_Owner='user:root', X_Forwarded_For=ELSEWHERE)
        equal(status, 200, 'from where it may be used')
        check('keyward-owner: team:billing\n' in body and 'keyward-scopes: orders:read\n' in body, body)
        check('user:root' not in body, body)
        equal((gateway.get(here, ELSEWHERE)[0], gateway.retry_after), (403, None), 'from elsewhere')
        equal(gateway.get(here, ELSEWHERE, X_Forwarded_For=HERE)[0], 403, 'an address that is made up')
        equal(gateway.get(plain, ELSEWHERE)[0], 200, 'a key without rules')
        equal(gateway.get(create(env='test'))[0], 403, 'a key of another environment')
        equal(gateway.get(create(scopes=['orders:write']))[0], 403, 'a key that lacks the scope')
        equal(gateway.get('x')[0], 401, 'no key of ours')
        equal(gateway.get(server.create()[0])[0], 401, 'a key of another project')
        equal([gateway.get(limited)[0] for _ in range(2)], [200, 429], 'a key beyond its limit')
        check(0 < int(gateway.retry_after) <= 3600, f'seconds to wait: {gateway.retry_after}')
        answers = {(gateway.get('x', '127.0.0.9')[0], gateway.retry_after is not None) for _ in range(122)}
        equal(answers, {(401, False), (429, True)}, 'many failures of one address')
        equal(gateway.get('x', '127.0.0.10')[0], 401, 'and one of another')


if __name__ == '__main__':
    sys.exit(main([the_gateway_of_the_page_works], ['--trust-proxy', '127.0.0.1']))
