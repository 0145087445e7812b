"""One stream of pipelined requests with a bit of everything, and its answers."""

import json

from support import check_equal, is_echo, request

STREAM = (request('/one') + request('/two', 'POST', body=b'hello') + b'\r\n' +
          request('/three', 'POST', ['Transfer-Encoding: chunked']) + b'5;a=b\r\nhello\r\n0\r\nX: t\r\n\r\n' +
          request('/four', 'HEAD') + request('/five', 'DELETE') +
          request('/six', headers=['Connection: close']))
PATHS = ['/one', '/two', '/three', None, '/five', '/six']


def read_stream_answers(client):
    """The answers to STREAM; checks their order where the server tells of it."""
    answers = [client.read_answer(to_head=path is None) for path in PATHS]
    check_equal(client.read_to_end(), b'', 'behind the last answer')
    for path, answer in zip(PATHS, answers):
        if is_echo() and path is not None:
            check_equal(json.loads(answer.body)['path'], path)
    return [(answer.status, answer.headers.get('content-type')) for answer in answers]
