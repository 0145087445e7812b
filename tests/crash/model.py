"""What the clients of the crash test know: the state in which each key must be, as far as the server acknowledged it.

A key is in one known state, or, while a request about it has no answer, in one of two. What a server says after its
restart decides between the two, and must hold from then on.
"""

import collections

VALID = 'VALID'

# `code` is what a verification answers; an erased key has neither version nor name.
State = collections.namedtuple('State', 'code version name')
ERASED = State('INVALID_KEY', 0, '')


class Failed(Exception):
    """The server contradicts what it acknowledged."""


def check(condition, what):
    if not condition:
        raise Failed(what)


class Key:
    def __init__(self, text, record):
        self.text = text
        self.id = record['id']
        self.states = [State(VALID, record['version'], record.get('name', ''))]
        self.is_rotated = False
        self.questions = []  # verifications under way: what they may be told grows with each change that begins

    def __repr__(self):
        return self.id

    @property
    def state(self):
        """The one state of a key that nothing is under way for."""
        check(len(self.states) == 1, f'{self} is in one of {self.states}')
        return self.states[0]

    def begin(self, after):
        self.states = [self.state, after]
        for question in self.questions:
            question.allowed.append(after)

    def acknowledge(self):
        self.states = self.states[-1:]

    def see(self, seen, when):
        """A server answered that the key is so; from now on it must be."""
        check(seen in self.states, f'{when}: {self} is {seen}, acknowledged was {self.states}')
        self.states = [seen]


class Question:
    """A verification under way: every state of the key from its begin to its end may be its answer."""

    def __init__(self, key):
        self.key = key
        self.allowed = list(key.states)
        key.questions.append(self)

    def end(self):
        self.key.questions.remove(self)

    def answered(self, seen):
        check(seen in self.allowed, f'under load: {self.key} is {seen}, allowed was {self.allowed}')


def state_of_verdict(verdict):
    if 'record' not in verdict:
        check(not verdict['valid'], f'valid without a record: {verdict}')
        return State(verdict['code'], 0, '')
    code = VALID if verdict['valid'] else verdict['code']
    return State(code, verdict['record']['version'], verdict['record'].get('name', ''))


def state_of_record(record):
    code = {'active': VALID, 'disabled': 'DISABLED', 'revoked': 'REVOKED'}[record['status']]
    return State(code, record['version'], record.get('name', ''))


class Model:
    """All keys whose creation was acknowledged, and the names of those whose creation had no answer."""

    def __init__(self):
        self.keys = []
        self.by_id = {}
        self.touched = set()
        self.unanswered = set()
        self.together = []  # lists of keys whose revocation in one had no answer
        self.name_count = 0

    def new_name(self):
        self.name_count += 1
        return f'n{self.name_count}'

    def add(self, text, record):
        check(record['id'] not in self.by_id, f'{record["id"]} was made twice')
        key = Key(text, record)
        self.keys.append(key)
        self.by_id[key.id] = key
        self.touched.add(key)
        return key

    def check_together(self, when):
        """Their states are known again: they must be alike."""
        for keys in self.together:
            codes = {key.state.code == 'REVOKED' for key in keys}
            check(len(codes) == 1, f'{when}: of {keys} only some are revoked')
        self.together.clear()

    def take_touched(self):
        """In the order of their creation, so that a seed replays."""
        touched = [key for key in self.keys if key in self.touched]
        self.touched.clear()
        return touched
