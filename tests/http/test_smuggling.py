"""Streams on which two readers could disagree: each is refused with 400 and the connection is closed, so that nothing
behind it is ever taken for a request."""

from support import Server, case, check, check_equal, main, request

# Behind every refused stream; an answer to it would show that it was smuggled in.
SMUGGLED = request('/smuggled')
CHUNKED = 'Transfer-Encoding: chunked'
NO_BODY = '0\r\n\r\n'


def head(*lines, first='POST / HTTP/1.1', host='Host: localhost', body=''):
    return '\r\n'.join(part for part in (first, host, *lines) if part is not None) + '\r\n\r\n' + body


REFUSED = {
    'both lengths': head('Content-Length: 4', CHUNKED, body='0\r\n\r\n'),
    'both lengths, the other order': head(CHUNKED, 'Content-Length: 4', body='0\r\n\r\n'),
    'both lengths, one empty': head(CHUNKED, 'Content-Length:', body=NO_BODY),
    'two equal lengths': head('Content-Length: 2', 'Content-Length: 2', body='ab'),
    'two different lengths': head('Content-Length: 2', 'Content-Length: 40', body='ab'),
    'a list of equal lengths': head('Content-Length: 2, 2', body='ab'),
    'a length with a sign': head('Content-Length: +2', body='ab'),
    'a negative length': head('Content-Length: -2', body='ab'),
    'a length in hexadecimal': head('Content-Length: 0x2', body='ab'),
    'a length with a point': head('Content-Length: 2.0', body='ab'),
    'a length in two words': head('Content-Length: 2 0', body='ab'),
    'a length beyond 64 bits': head('Content-Length: 18446744073709551618', body='ab'),
    'an underscore for the hyphen, both': head('Content_Length: 2', 'Content-Length: 2, 0', body='ab'),
    'identity': head('Transfer-Encoding: identity', body='ab'),
    'gzip, chunked': head('Transfer-Encoding: gzip, chunked', body=NO_BODY),
    'chunked, identity': head('Transfer-Encoding: chunked, identity', body=NO_BODY),
    'chunked twice': head(CHUNKED, CHUNKED, body=NO_BODY),
    'chunked, then another': head(CHUNKED, 'Transfer-Encoding: cow', body=NO_BODY),
    'xchunked': head('Transfer-Encoding: xchunked', body=NO_BODY),
    'chunked;q=1': head('Transfer-Encoding: chunked;q=1', body=NO_BODY),
    'quoted chunked': head('Transfer-Encoding: "chunked"', body=NO_BODY),
    'a vertical tab before chunked': head('Transfer-Encoding: \x0bchunked', body=NO_BODY),
    'space before the colon of the encoding': head('Transfer-Encoding : chunked', body=NO_BODY),
    'space before the colon of the length': head('Content-Length : 2', body='ab'),
    'tab before a colon': head('X-Other\t: 2'),
    'chunks in HTTP/1.0': head(CHUNKED, first='POST / HTTP/1.0', body=NO_BODY),
    'a folded encoding': head('Transfer-Encoding:\r\n chunked', body=NO_BODY),
    'a folded header': head('X-Other: a\r\n b'),
    'a folded header with a tab': head('X-Other: a\r\n\tContent-Length: 2'),
    'space before the first header': 'GET / HTTP/1.1\r\n Host: localhost\r\n\r\n',
    'CR alone in a value': head('X-Other: a\rContent-Length: 2'),
    'CR alone at the end of a value': head('X-Other: a\r\r\n'),
    'CR alone in a name': head('X-Oth\rer: a'),
    'CR alone before the value': head('X-Other:\ra'),
    'LF alone behind the request line': 'GET / HTTP/1.1\nHost: localhost\r\n\r\n',
    'LF alone behind a header': 'GET / HTTP/1.1\r\nHost: localhost\nX: a\r\n\r\n',
    'LF alone as the empty line': 'GET / HTTP/1.1\r\nHost: localhost\r\n\n',
    'NUL in a value': head('X-Other: a\0b'),
    'NUL in a name': head('X-Ot\0her: a'),
    'NUL in the target': head(first='GET /\0 HTTP/1.1'),
    'escape in a value': head('X-Other: \x1b[31m'),
    'DEL in a value': head('X-Other: \x7f'),
    'a header without a name': head(': a'),
    'a header without a colon': head('X-Other'),
    'a name with a slash': head('X/Other: a'),
    'no host': head(host=None),
    'two equal hosts': head('Host: localhost'),
    'two hosts': head('host: other'),
    'an empty host': head(host='Host:'),
    'a host with a user': head(host='Host: a@b'),
    'a host with a path': head(host='Host: a/b'),
    'a list of hosts': head(host='Host: a,b'),
    'a port beyond 65535': head(host='Host: a:70000'),
    'an open bracket': head(host='Host: [::1'),
    'a header that is read, twice': head('Authorization: a', 'AUTHORIZATION: b'),
    'another one, twice': head('Idempotency-Key: a', 'Idempotency-Key: a'),
    'the type, twice': head('Content-Type: a/b', 'Content-Type: a/b'),
    'an expectation that is not known': head('Expect: the-best'),
    'a whole address': head(first='GET http://localhost/ HTTP/1.1'),
    'an authority': head(first='CONNECT localhost:80 HTTP/1.1'),
    'a GET of an authority': head(first='GET localhost:80 HTTP/1.1'),
    'an asterisk': head(first='OPTIONS * HTTP/1.1'),
    'a fragment': head(first='GET /a#b HTTP/1.1'),
    'two spaces before the target': head(first='GET  / HTTP/1.1'),
    'two spaces behind the target': head(first='GET /  HTTP/1.1'),
    'space behind the version': head(first='GET / HTTP/1.1 '),
    'space before the method': head(first=' GET / HTTP/1.1'),
    'a tab for a space': head(first='GET\t/ HTTP/1.1'),
    'a target with a space': head(first='GET /a b HTTP/1.1'),
    'no target': head(first='GET HTTP/1.1'),
    'no version': 'GET /\r\n\r\n',
    'HTTP/0.9': head(first='GET / HTTP/0.9'),
    'HTTP/1.2': head(first='GET / HTTP/1.2'),
    'HTTP/2.0': head(first='GET / HTTP/2.0'),
    'HTTP/1.1x': head(first='GET / HTTP/1.1x'),
    'HTTP/01.1': head(first='GET / HTTP/01.1'),
    'another protocol': head(first='SETUP / RTSP/1.0'),
    'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'a method nobody knows': head(first='FROB / HTTP/1.1'),
    'a TLS greeting': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'two empty lines first': '\r\n\r\n' + head(),
    'a chunk without a size': head(CHUNKED, body='\r\n' + NO_BODY),
    'a chunk of negative size': head(CHUNKED, body='-1\r\n' + NO_BODY),
    'a chunk of size 0x1': head(CHUNKED, body='0x1\r\na\r\n' + NO_BODY),
    'a chunk of size 1_0': head(CHUNKED, body='1_0\r\n' + NO_BODY),
    'a chunk beyond 64 bits': head(CHUNKED, body='1' + '0' * 16 + '1\r\na\r\n' + NO_BODY),
    'space before a chunk\'s size': head(CHUNKED, body=' 1\r\na\r\n' + NO_BODY),
    'space behind a chunk\'s size': head(CHUNKED, body='1 \r\na\r\n' + NO_BODY),
    'LF alone behind a chunk\'s size': head(CHUNKED, body='1\na\r\n' + NO_BODY),
    'LF alone in an extension': head(CHUNKED, body='1;a\nb\r\na\r\n' + NO_BODY),
    'CR alone behind a chunk\'s size': head(CHUNKED, body='1\ra\r\n' + NO_BODY),
    'LF alone behind a chunk': head(CHUNKED, body='1\r\na\n' + NO_BODY),
    'more in a chunk than it says': head(CHUNKED, body='1\r\nabc\r\n' + NO_BODY),
    'large extensions': head(CHUNKED, body='1;' + 'a' * 5000 + '\r\na\r\n' + NO_BODY),
    'LF alone after the last chunk': head(CHUNKED, body='0\r\n\n'),
    'LF alone in a trailer': head(CHUNKED, body='0\r\nX: a\n\r\n'),
    'a folded trailer': head(CHUNKED, body='0\r\nX: a\r\n b\r\n\r\n'),
    'CR alone in a trailer': head(CHUNKED, body='0\r\nX: a\rb\r\n\r\n'),
}

# What looks odd and is allowed: as many answers as requests, and the one behind it is heard.
TAKEN = {
    'an empty line first': '\r\n' + head(body=''),
    'a length of zeros': head('Content-Length: 000'),
    'a length with spaces': head('Content-Length:   2  ', body='ab'),
    'an underscore for the hyphen': head('Content_Length: 99'),
    'Chunked': head('Transfer-Encoding: ChunKed', body='2\r\nab\r\n' + NO_BODY),
    'an extension': head(CHUNKED, body='2;a=b\r\nab\r\n0;c\r\n\r\n'),
    'trailers that would matter in a head': head(CHUNKED, body='0\r\nContent-Length: 99\r\nHost: other\r\n\r\n'),
    'an offer to upgrade': head('Connection: Upgrade', 'Upgrade: websocket', first='GET / HTTP/1.1'),
    'an offer of HTTP/2': head('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'),
    'an upgrade with a body': head('Connection: upgrade', 'Upgrade: h2c', 'Content-Length: 2', body='ab'),
    'a GET with a body': head('Content-Length: 2', first='GET / HTTP/1.1', body='ab'),
    'an IPv6 host': head(host='Host: [::1]:7411'),
    'bytes beyond ASCII in a value': head('X-Other: \xfc'),
    'a header that nobody reads, twice': head('X-Other: a', 'X-Other: b'),
}


@case
def refused_streams_end_the_connection():
    wrong = []
    with Server() as server:
        for name, stream in REFUSED.items():
            with server.connect() as client:
                client.try_send(stream.encode('latin-1') + SMUGGLED)
                answers = client.read_answers_to_end()
            statuses = [answer.status for answer in answers]
            if statuses != [400]:
                wrong.append(f'{name}: {statuses}')
            elif answers[0].headers.get('connection') != 'close':
                wrong.append(f'{name}: does not say that it closes')
            elif answers[0].headers['content-type'] != 'application/problem+json':
                wrong.append(f'{name}: {answers[0].headers["content-type"]}')
    check(not wrong, '\n'.join(wrong))


@case
def refused_streams_behind_a_good_request():
    wrong = []
    with Server() as server:
        for name, stream in REFUSED.items():
            with server.connect() as client:
                client.try_send(request() + stream.encode('latin-1') + SMUGGLED)
                statuses = [answer.status for answer in client.read_answers_to_end()]
            if len(statuses) != 2 or statuses[0] == 400 or statuses[1] != 400:
                wrong.append(f'{name}: {statuses}')
    check(not wrong, '\n'.join(wrong))


@case
def odd_streams_are_taken():
    wrong = []
    with Server() as server:
        for name, stream in TAKEN.items():
            with server.connect() as client:
                client.send(stream.encode('latin-1'))
                client.send(request(headers=['Connection: close']))
                answers = client.read_answers_to_end()
            statuses = [answer.status for answer in answers]
            if len(statuses) != 2 or 101 in statuses or 'upgrade' in answers[0].headers:
                wrong.append(f'{name}: {statuses}')
    check(not wrong, '\n'.join(wrong))


@case
def refusals_are_problems():
    with Server() as server:
        answer = server.ask(b'GET / HTTP/1.1\r\n\r\n')
        check_equal(answer.status, 400)
        check(b'INVALID_REQUEST' in answer.body and b'Host' in answer.body, answer.body)
        check(answer.headers['x-request-id'] != '', 'no request id')


if __name__ == '__main__':
    main()
