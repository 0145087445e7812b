"""Templates: kept as documents, taken by creations, overridden where they are open and only there."""

import sys

from api_support import check, equal, main

PATH = '/v1/templates'


def template(server, name, fields, locked=None):
    body = {'name': name, 'fields': fields, **({'locked': locked} if locked else {})}
    return server.expect(201, 'POST', PATH, body).json


def made(server, of, /, **more):
    return server.expect(201, 'POST', '/v1/keys', {'template': of, **more}).json['record']


def a_creation_takes_a_template(server):
    template(server, 'ci', {'owner': 'service:ci', 'name': 'Builds', 'tags': ['ci'], 'scopes': ['builds:*'], 'env': 'test',
                            'resources': {'repo:1': ['read']}, 'metadata': {'a': 1}, 'expiresIn': '30d', 'isPublic': True,
                            'orgId': 'acme', 'description': 'From a template.'})
    record = made(server, 'ci')
    equal((record['owner'], record['name'], record['tags'], record['scopes'], record['env'], record['prefix']),
          ('service:ci', 'Builds', ['ci'], ['builds:*'], 'test', 'pk_test_'), 'what the template gives')
    equal((record['resources'], record['metadata'], record['orgId'], record['description']),
          ({'repo:1': ['read']}, {'a': 1}, 'acme', 'From a template.'), 'what the template gives')
    check('expiresAt' in record, 'no expiry')
    record = made(server, 'ci', ownerId='7', name='Mine', scopes=['read'], expiresAt='2090-01-01T00:00:00Z', env='live',
                  isPublic=False, tags=[])
    equal((record['owner'], record['name'], record['scopes'], record['expiresAt'], record['prefix'], record['tags']),
          ('user:7', 'Mine', ['read'], '2090-01-01T00:00:00.000Z', 'sk_live_', []), 'what overrides it')


def a_record_names_its_template(server):
    template(server, 'named', {'scopes': ['read'], 'allowedIPs': ['192.0.2.0/24'], 'blockedRegions': ['US']}, ['allowedIPs'])
    record = made(server, 'named', ownerId='1')
    equal((record['template'], record['allowedIPs'], record['blockedRegions']), ('named', ['192.0.2.0/24'], ['US']), 'a creation')
    server.refuse('FIELD_LOCKED', 'POST', '/v1/keys', {'template': 'named', 'ownerId': '1', 'allowedIPs': []}, field='allowedIPs')
    successor = server.expect(201, 'POST', f'/v1/keys/{record["id"]}/rotate', {}).json['record']
    equal(successor['template'], 'named', 'its successor')
    batch = server.expect(200, 'POST', '/v1/keys/batch/create', {'items': [{'template': 'named', 'ownerId': '2'}]})
    equal(batch.json['items'][0]['record']['template'], 'named', 'in a batch')
    server.refuse('INVALID_FIELD', 'POST', PATH, {'name': 'bad', 'fields': {'allowedIPs': ['x']}}, field='fields.allowedIPs[0]')


def what_a_template_names_is_there(server):
    for fields, field in (({'env': 'none'}, 'fields.env'), ({'preset': 'none'}, 'fields.preset'), ({'blockedRegions': ['US-ZZ']}, 'fields.blockedRegions[0]'), ({'policy': 'none'}, 'fields.policy')):
        for query in ('', '?dryRun=true'):
            server.refuse('INVALID_FIELD', 'POST', PATH + query, {'name': 'names', 'fields': fields}, field=field, status=400)
    server.expect(201, 'POST', '/v1/policies', {'name': 'named-once', 'scopes': ['read']})
    template(server, 'names', {'policy': 'named-once'})
    equal(made(server, 'names', ownerId='1')['policy'], 'named-once', 'a key of it')
    server.refuse('INVALID_FIELD', 'PATCH', PATH + '/names', {'fields': {'policy': 'none'}}, field='fields.policy', status=400)


def an_owner_is_still_needed(server):
    template(server, 'ownerless', {'scopes': ['read']})
    server.refuse('MISSING_FIELD', 'POST', '/v1/keys', {'template': 'ownerless'}, field='ownerId')
    equal(made(server, 'ownerless', ownerId='1')['scopes'], ['read'], 'with an owner')
    server.refuse('INVALID_FIELD', 'POST', '/v1/keys', {'ownerId': '1', 'template': 'nobody'}, field='template', status=400)


def presets_and_scopes_go_together(server):
    template(server, 'reader', {'preset': 'readOnly', 'scopes': ['x']})
    equal(made(server, 'reader', ownerId='1')['scopes'], ['read', 'read:*', 'x'], 'both of the template')
    equal(made(server, 'reader', ownerId='1', scopes=['y'])['scopes'], ['y'], 'scopes override both')
    equal(made(server, 'reader', ownerId='1', preset='fullAccess')['scopes'], ['*'], 'a preset overrides both')


def locked_fields_stay(server):
    template(server, 'locked', {'scopes': ['read'], 'expiresIn': '1d'}, ['scopes', 'expiresIn', 'metadata', 'owner'])
    for body, field in [({'scopes': []}, 'scopes'), ({'preset': 'readOnly'}, 'preset'), ({'expiresIn': '1h'}, 'expiresIn'),
                        ({'expiresAt': '2090-01-01T00:00:00Z'}, 'expiresAt'), ({'metadata': {}}, 'metadata'),
                        ({'ownerId': '1'}, 'owner')]:
        server.refuse('FIELD_LOCKED', 'POST', '/v1/keys', {'template': 'locked', **body}, field=field, status=400)
    server.expect(200, 'PATCH', PATH + '/locked', {'locked': ['preset']})
    server.refuse('FIELD_LOCKED', 'POST', '/v1/keys', {'template': 'locked', 'ownerId': '1', 'scopes': ['x']}, field='scopes')
    equal(made(server, 'locked', ownerId='1', expiresIn='1h')['scopes'], ['read'], 'what is open now')


def what_a_template_says_is_checked(server):
    for settings, code, field in [
            ({'fields': []}, 'INVALID_FIELD', 'fields'), ({'fields': {'colour': 1}}, 'UNKNOWN_FIELD', 'fields.colour'),
            ({'fields': {'tags': ['a b']}}, 'INVALID_FIELD', 'fields.tags[0]'),
            ({'fields': {'scopes': ['a b']}}, 'INVALID_FIELD', 'fields.scopes[0]'),
            ({'fields': {'owner': 'nobody'}}, 'INVALID_FIELD', 'fields.owner'),
            ({'fields': {'ownerId': '1', 'owner': 'user:1'}}, 'INVALID_FIELD', 'fields.owner'),
            ({'fields': {'env': 'Live'}}, 'INVALID_FIELD', 'fields.env'),
            ({'fields': {'metadata': 1}}, 'INVALID_FIELD', 'fields.metadata'),
            ({'fields': {'resources': {'x': ['read']}}}, 'INVALID_FIELD', 'fields.resources.x'),
            ({'fields': {'expiresIn': '1d', 'expiresAt': '2090-01-01T00:00:00Z'}}, 'INVALID_FIELD', 'fields.expiresIn'),
            ({'fields': {'template': 'ci'}}, 'UNKNOWN_FIELD', 'fields.template'),
            ({'locked': ['colour']}, 'INVALID_FIELD', 'locked[0]'), ({'locked': 'scopes'}, 'INVALID_FIELD', 'locked'),
            ({'scopes': []}, 'UNKNOWN_FIELD', 'scopes'), ({'name': '-'}, 'INVALID_FIELD', 'name')]:
        server.refuse(code, 'POST', PATH, {'name': 'bad', **settings}, field=field)


def templates_come_and_go(server):
    template(server, 'passing', {'scopes': ['read']})
    record = made(server, 'passing', ownerId='1')
    server.expect(204, 'DELETE', PATH + '/passing', headers={'If-Match': '"1"'})
    server.refuse('TEMPLATE_NOT_FOUND', 'GET', PATH + '/passing', status=404)
    server.refuse('TEMPLATE_NOT_FOUND', 'PATCH', PATH + '/passing', {})
    equal(server.expect(200, 'GET', f'/v1/keys/{record["id"]}').json['scopes'], ['read'], 'its key')
    writer, _ = server.manager('templates:update')
    server.expect(201, 'POST', PATH, {'name': 'passing'}, key=writer)
    server.refuse('FORBIDDEN', 'GET', PATH, key=writer)


def what_the_project_has_not_is_refused(server):
    of = {'Keyward-Project': 'small'}
    environments = [{'name': name, 'secretPrefix': f'small{name}_'} for name in ('live', 'dev')]
    server.expect(201, 'POST', '/v1/projects', {'name': 'small', 'environments': environments, 'presets': {'mine': ['a']}})
    for address, right, wrong, field in (
            (PATH, {'fields': {'env': 'dev'}}, {'fields': {'env': 'test'}}, 'fields.env'),
            (PATH, {'fields': {'preset': 'mine'}}, {'fields': {'preset': 'yours'}}, 'fields.preset'),
            ('/v1/policies', {'environments': ['live', 'dev']}, {'environments': ['live', 'test']}, 'environments[1]')):
        name = field.replace('.', '-').replace('[1]', '')
        server.refuse('INVALID_FIELD', 'POST', address, {'name': name, **wrong}, field=field, headers=of)
        server.expect(201, 'POST', address, {'name': name, **right}, headers=of)
        server.refuse('INVALID_FIELD', 'PATCH', f'{address}/{name}', wrong, field=field, headers=of)
    # What the project has given up since may stay, and only that.
    server.expect(200, 'PATCH', '/v1/projects/small', {'environments': environments[:1], 'presets': None})
    for path, change in (('/templates/fields-env', {'fields': {'env': 'dev', 'name': 'x'}}),
                         ('/templates/fields-preset', {'fields': {'preset': 'mine', 'name': 'x'}}),
                         ('/policies/environments', {'environments': ['dev'], 'scopes': ['a']})):
        server.expect(200, 'PATCH', '/v1' + path, change, headers=of)
    server.refuse('INVALID_FIELD', 'POST', '/v1/keys', {'template': 'fields-env', 'ownerId': '1'}, field='env', headers=of)


if __name__ == '__main__':
    sys.exit(main([a_creation_takes_a_template, a_record_names_its_template, what_a_template_names_is_there, an_owner_is_still_needed, presets_and_scopes_go_together, locked_fields_stay,
                   what_a_template_says_is_checked, templates_come_and_go,
                   what_the_project_has_not_is_refused]))
