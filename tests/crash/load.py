"""The load of the crash test: connections that each send one request after the other, drawn from a seed, and write down
in the model what was acknowledged. All of them are turned by one loop, so that the only chance is the server's own.
"""

import errno
import json
import selectors
import socket

from model import ERASED, VALID, Failed, Question, State, check, state_of_record, state_of_verdict

# How often what is drawn: (operation, weight).
MIX = (('create', 30), ('update', 12), ('disable', 8), ('enable', 8), ('revoke', 12), ('rotate', 8), ('erase', 5),
       ('verify', 12), ('read', 5), ('revoke-many', 6))
# Which states of a key an operation is for; the others make no key of their own.
FITTING = {'update': (VALID, 'DISABLED'), 'disable': (VALID,), 'enable': ('DISABLED',), 'revoke': (VALID, 'DISABLED'),
           'rotate': (VALID,), 'erase': ('REVOKED',)}


def parse_answer(data):
    """(status, JSON, rest) of the first whole answer in `data`; None while it is not whole."""
    head, end, rest = data.partition(b'\r\n\r\n')
    if not end:
        return None
    lines = head.decode('latin-1').split('\r\n')
    headers = dict(line.lower().split(': ', 1) for line in lines[1:])
    size = int(headers.get('content-length', 0))
    if len(rest) < size:
        return None
    return int(lines[0].split()[1]), json.loads(rest[:size] or b'null'), rest[size:]


def request_bytes(root, method, path, body):
    data = json.dumps(body).encode() if body is not None else b''
    head = f'{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {root}\r\n'
    if body is not None:
        head += f'Content-Type: application/json\r\nContent-Length: {len(data)}\r\n'
    return head.encode() + b'\r\n' + data


class Request:
    """One request: what it asks, and what its answer, or its silence, means for the model."""

    def __init__(self, model, path, body=None, method='POST', status=200):
        self.model, self.path, self.body, self.method, self.status = model, path, body, method, status

    def may_answer(self, status):
        return status == self.status

    def answered(self, content):
        pass

    def silent(self):
        pass


class Create(Request):
    def __init__(self, model):
        self.name = model.new_name()
        super().__init__(model, '/v1/keys', {'ownerId': self.name, 'name': self.name}, status=201)

    def answered(self, content):
        self.model.add(content['key'], content['record'])

    def silent(self):
        self.model.unanswered.add(self.name)


class Change(Request):
    """Of one key, to a known state."""

    def __init__(self, model, key, after, path, **more):
        super().__init__(model, f'/v1/keys/{key.id}{path}', **more)
        self.key = key
        model.touched.add(key)
        key.begin(after)

    def answered(self, content):
        if content is not None:
            after, seen = self.key.states[-1], state_of_record(content)
            check(seen == after, f'{self.method} {self.path} made {seen}, not {after}')
        self.key.acknowledge()


class RevokeMany(Request):
    """Of several keys by one action: all of them or none, whenever the server dies."""

    def __init__(self, model, keys):
        super().__init__(model, '/v1/keys/revoke', {'ids': [key.id for key in keys], 'reason': 'crash test'})
        self.keys = keys
        for key in keys:
            model.touched.add(key)
            key.begin(State('REVOKED', key.state.version + 1, key.state.name))

    def answered(self, content):
        check(content == {'changed': len(self.keys), 'matched': len(self.keys)}, f'{self.path} {self.body} -> {content}')
        for key in self.keys:
            key.acknowledge()

    def silent(self):
        self.model.together.append(self.keys)


class Rotate(Change):
    def __init__(self, model, key, with_grace):
        before = key.state
        self.name = model.new_name()
        after = State(VALID if with_grace else 'REVOKED', before.version + 1, before.name)
        body = {'name': self.name, **({'gracePeriod': '1h'} if with_grace else {})}
        super().__init__(model, key, after, '/rotate', body=body, status=201)
        key.is_rotated = True

    def answered(self, content):
        super().answered(content['previous'])
        self.model.add(content['key'], content['record'])

    def silent(self):
        self.model.unanswered.add(self.name)


class Verify(Request):
    def __init__(self, model, key):
        super().__init__(model, '/v1/keys/verify', {'key': key.text})
        self.question = Question(key)

    def state_of(self, content):
        return state_of_verdict(content)

    def answered(self, content):
        self.question.end()
        self.question.answered(self.state_of(content))

    def silent(self):
        self.question.end()


class Read(Verify):
    """As a verification, but of the record."""

    def __init__(self, model, key):
        super().__init__(model, key)
        self.path, self.body, self.method = f'/v1/keys/{key.id}', None, 'GET'

    def may_answer(self, status):
        return status in (200, 404)

    def state_of(self, content):
        return state_of_record(content) if 'id' in content else ERASED


def change_of(kind, model, key, draw):
    before = key.state
    later = before.version + 1
    if kind == 'update':
        name = model.new_name()
        return Change(model, key, State(before.code, later, name), '', body={'name': name}, method='PATCH')
    if kind == 'disable':
        return Change(model, key, State('DISABLED', later, before.name), '/disable')
    if kind == 'enable':
        return Change(model, key, State(VALID, later, before.name), '/enable')
    if kind == 'revoke':
        return Change(model, key, State('REVOKED', later, before.name), '/revoke', body={'reason': 'crash test'})
    if kind == 'erase':
        return Change(model, key, ERASED, '', method='DELETE', status=204)
    return Rotate(model, key, with_grace=draw.random() < 0.5)


class Drawer:
    """Draws the next request."""

    TRIES = 8

    def __init__(self, model, draw):
        self.model = model
        self.draw = draw

    def fits(self, kind, key):
        return len(key.states) == 1 and key.state.code in FITTING[kind] and not (kind == 'rotate' and key.is_rotated)

    def pick(self):
        """Half of the time one of the newest keys: those that a kill has most to do with."""
        keys = self.model.keys
        newest = min(len(keys), 40)
        return keys[-1 - self.draw.randrange(newest)] if self.draw.random() < 0.5 else self.draw.choice(keys)

    def next(self):
        kinds, weights = zip(*MIX)
        kind = self.draw.choices(kinds, weights)[0]
        if kind == 'create' or not self.model.keys:
            return Create(self.model)
        if kind == 'revoke-many':
            keys = {key.id: key for key in (self.pick() for _ in range(self.TRIES)) if self.fits('revoke', key)}
            return RevokeMany(self.model, list(keys.values())) if keys else Create(self.model)
        for _ in range(self.TRIES):
            key = self.pick()
            if kind == 'verify':
                return Verify(self.model, key)
            if kind == 'read':
                return Read(self.model, key)
            if kind in FITTING and self.fits(kind, key):
                return change_of(kind, self.model, key, self.draw)
        return Create(self.model)


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(('127.0.0.1', port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.received = b''
        self.request = None
        self.is_open = True

    def receive(self):
        """Everything that is there."""
        while self.is_open:
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                return
            except OSError as error:
                check(error.errno in (errno.ECONNRESET, errno.EPIPE), f'a connection failed: {error}')
                data = b''
            self.received += data
            self.is_open = bool(data)


class Load:
    """Connections at work until they are told to end, or the server is gone."""

    def __init__(self, model, draw, root, port, connection_count):
        self.drawer = Drawer(model, draw)
        self.root = root
        self.acknowledged = self.sent = 0
        self.may_refuse = False  # a server that drains may say so
        self.selector = selectors.DefaultSelector()
        self.connections = [Connection(port) for _ in range(connection_count)]
        for connection in self.connections:
            self.selector.register(connection.socket, selectors.EVENT_READ, connection)

    def send(self, connection):
        request = connection.request = self.drawer.next()
        data = request_bytes(self.root, request.method, request.path, request.body)
        try:
            sent = connection.socket.send(data)
            check(sent == len(data), f'only {sent} of {len(data)} bytes fit into a socket')
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server has closed: silence
        self.sent += 1

    def take_answer(self, connection):
        """True when an answer was whole."""
        parsed = parse_answer(connection.received)
        if parsed is None:
            return False
        status, content, connection.received = parsed
        request, connection.request = connection.request, None
        what = f'{request.method} {request.path} {request.body} -> {status} {content}'
        if status == 503 and self.may_refuse:
            request.silent()
            return True
        check(request.may_answer(status), what)
        request.answered(content)
        self.acknowledged += 1
        return True

    def begin(self):
        for connection in self.connections:
            self.send(connection)
            yield

    def turn(self, wait_s=20):
        """Takes what arrived, and sends as many new requests. Yields after every step, where the world may end."""
        events = self.selector.select(wait_s)
        check(events or wait_s == 0, f'no answer in {wait_s} s')
        for item, _ in events:
            connection = item.data
            connection.receive()
            answered = connection.request is not None and self.take_answer(connection)
            yield
            if not connection.is_open:
                self.selector.unregister(connection.socket)
            elif answered:
                self.send(connection)
                yield

    @property
    def is_alive(self):
        return bool(self.selector.get_map())

    def end(self):
        """The server is gone: what had reached the sockets before counts, everything else stays open."""
        for connection in self.connections:
            connection.receive()
            if connection.request is not None and not self.take_answer(connection):
                connection.request.silent()
            connection.socket.close()
        self.selector.close()


def ask(root, port, method, path, body=None):
    """One request on a connection of its own: (status, JSON)."""
    with socket.create_connection(('127.0.0.1', port), timeout=60) as sock:
        sock.sendall(request_bytes(root, method, path, body))
        data = b''
        while (parsed := parse_answer(data)) is None:
            piece = sock.recv(1 << 20)
            if not piece:
                raise Failed(f'{method} {path} was not answered: {data[:200]!r}')
            data += piece
        return parsed[:2]
