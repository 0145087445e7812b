"""Certificates for the tests of TLS, made when they are needed."""

import contextlib
import pathlib
import shutil
import ssl
import subprocess
import tempfile

from support import Server


def openssl(*arguments):
    if shutil.which('openssl') is None:
        raise RuntimeError('openssl is missing: it makes the certificates')
    subprocess.run(['openssl', *map(str, arguments)], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


class Files:
    """A key and a certificate for localhost, and some that cannot be used."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.key = self.folder / 'key.pem'
        self.cert = self.folder / 'cert.pem'
        self.other_key = self.folder / 'other.pem'
        self.locked_key = self.folder / 'locked.pem'
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', 30,
                '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', self.key,
                '-out', self.cert)
        openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', self.other_key)
        openssl('pkcs8', '-topk8', '-in', self.key, '-out', self.locked_key, '-passout', 'pass:unknown')

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def options(self, cert=None, key=None):
        return ['--tls-cert', str(cert or self.cert), '--tls-key', str(key or self.key)]

    def context(self):
        return ssl.create_default_context(cafile=self.cert)


@contextlib.contextmanager
def files():
    with tempfile.TemporaryDirectory(prefix='keyward-tls-') as folder:
        yield Files(folder)


@contextlib.contextmanager
def server_and_files(*options):
    with files() as made, Server(*made.options(), *options, tls=made.context()) as server:
        yield server, made
