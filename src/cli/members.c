#include "cli/keys.h"
#include "cli/text.h"

static struct kw_member *find_member(struct kw_member *members, size_t count, struct kw_bytes name)
{
    for (size_t i = 0; i < count; i++) {
        if (kw_bytes_equal(kw_bytes_of_text(members[i].name), name)) {
            return &members[i];
        }
    }
    return NULL;
}

enum kw_status kw_members_read(struct kw_bytes object, struct kw_arena *arena, struct kw_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        members[i].type = KW_JSON_NULL;
        members[i].text = (struct kw_bytes){0};
    }
    struct kw_json_reader reader;
    struct kw_json_token token;
    kw_json_reader_init(&reader, object, arena);
    enum kw_status status = kw_json_next(&reader, &token, NULL);
    if (status != KW_OK || token.type != KW_JSON_OBJECT_BEGIN) {
        return status != KW_OK ? status : KW_E_INVALID;
    }
    for (;;) {
        status = kw_json_next(&reader, &token, NULL);
        if (status == KW_OK && token.type != KW_JSON_NAME) {
            return kw_json_next(&reader, &token, NULL); /* the end of the object: nothing may follow it */
        }
        if (status != KW_OK) {
            return status;
        }
        struct kw_member *member = find_member(members, count, token.text);
        struct kw_bytes raw;
        status = kw_json_next(&reader, &token, NULL);
        if (status == KW_OK) {
            status = kw_json_skip(&reader, &token, &raw, NULL);
        }
        if (status != KW_OK) {
            return status;
        }
        if (member != NULL) {
            member->type = token.type;
            member->text = token.type == KW_JSON_STRING ? token.text : raw;
        }
    }
}

enum kw_status kw_items_each(struct kw_bytes array, struct kw_arena *arena,
                             enum kw_status (*each)(void *context, const struct kw_json_token *item,
                                                    struct kw_bytes raw),
                             void *context)
{
    struct kw_json_reader reader;
    struct kw_json_token token;
    kw_json_reader_init(&reader, array, arena);
    enum kw_status status = kw_json_next(&reader, &token, NULL);
    if (status != KW_OK || token.type != KW_JSON_ARRAY_BEGIN) {
        return status != KW_OK ? status : KW_E_INVALID;
    }
    for (;;) {
        status = kw_json_next(&reader, &token, NULL);
        if (status == KW_OK && token.type == KW_JSON_ARRAY_END) {
            return kw_json_next(&reader, &token, NULL); /* the end of the array: nothing may follow it */
        }
        if (status != KW_OK) {
            return status;
        }
        struct kw_bytes raw;
        status = kw_json_skip(&reader, &token, &raw, NULL);
        if (status == KW_OK) {
            status = each(context, &token, raw);
        }
        if (status != KW_OK) {
            return status;
        }
    }
}

enum kw_status kw_page_show(struct kw_cli *cli, const struct kw_command_line *line, const struct kw_answer *answer,
                            enum kw_status (*each)(void *context, const struct kw_json_token *item,
                                                   struct kw_bytes raw))
{
    enum { ITEMS, NEXT_CURSOR, PAGE_COUNT };
    struct kw_member members[PAGE_COUNT] = {[ITEMS] = {"items"}, [NEXT_CURSOR] = {"nextCursor"}};
    struct kw_arena arena;
    if (kw_line_has(line, "json")) {
        kw_buffer_add(&cli->out.text, kw_buffer_bytes(&answer->body));
        kw_buffer_add_byte(&cli->out.text, '\n');
        return KW_OK;
    }
    kw_arena_init(&arena, NULL, 0, (size_t)2 * KW_ANSWER_ARENA_MAX);
    enum kw_status status = kw_members_read(kw_buffer_bytes(&answer->body), &arena, members, PAGE_COUNT);
    status = status == KW_OK ? kw_items_each(members[ITEMS].text, &arena, each, cli) : status;
    if (status == KW_OK && members[NEXT_CURSOR].type == KW_JSON_STRING) {
        kw_buffer_add_text(&cli->out.text, "There is more: --cursor=");
        kw_text_clean(&cli->out.text, members[NEXT_CURSOR].text);
        kw_buffer_add_byte(&cli->out.text, '\n');
    }
    kw_arena_reset(&arena);
    return status;
}
