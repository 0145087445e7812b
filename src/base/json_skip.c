#include "base/json_scan.h"

/* A member's name inside the value that is read past; `object` numbers the objects in the order they begin. */
struct seen_name {
    struct seen_name *next;
    size_t object;
    size_t offset;
    struct kw_bytes name;
};

/* 2^64 names would fit; memory ends long before. */
#define RUNS_MAX 64

/*
 * All names so far as sorted runs, run i either empty or of 2^i names: a merge sort from the bottom up, so that hostile
 * input costs n log n comparisons and one piece of the arena a name. Equal names meet in some merge.
 */
struct seen_names {
    struct seen_name *runs[RUNS_MAX];
    const struct seen_name *duplicate;
};

/* Any total order does; sizes tell most names apart at once. */
static int compare(const struct seen_name *a, const struct seen_name *b)
{
    if (a->object != b->object) {
        return a->object < b->object ? -1 : 1;
    }
    if (a->name.size != b->name.size) {
        return a->name.size < b->name.size ? -1 : 1;
    }
    return kw_bytes_compare(a->name, b->name);
}

static struct seen_name *merge(struct seen_names *names, struct seen_name *later, struct seen_name *earlier)
{
    struct seen_name *merged = NULL;
    struct seen_name **tail = &merged;
    while (later != NULL && earlier != NULL) {
        int order = compare(later, earlier);
        if (order == 0) {
            names->duplicate = later;
        }
        struct seen_name **smaller = order < 0 ? &later : &earlier;
        *tail = *smaller;
        tail = &(*smaller)->next;
        *smaller = (*smaller)->next;
    }
    *tail = later == NULL ? earlier : later;
    return merged;
}

static void add_name(struct seen_names *names, struct seen_name *name)
{
    struct seen_name *run = name;
    size_t i = 0;
    for (; names->runs[i] != NULL; i++) {
        run = merge(names, run, names->runs[i]);
        names->runs[i] = NULL;
    }
    names->runs[i] = run;
}

static void merge_all(struct seen_names *names)
{
    struct seen_name *run = NULL;
    for (size_t i = 0; i < RUNS_MAX; i++) {
        run = merge(names, run, names->runs[i]);
    }
}

static enum kw_status remember(struct seen_names *names, const struct kw_json_reader *reader, size_t object,
                               const struct kw_json_token *token, struct kw_error *error_out)
{
    struct seen_name *name = reader->arena == NULL ? NULL : kw_arena_take(reader->arena, sizeof *name);
    if (name == NULL) {
        return kw__json_refuse_size(reader, sizeof *name, error_out);
    }
    *name = (struct seen_name){.object = object, .offset = token->offset, .name = token->text};
    add_name(names, name);
    return KW_OK;
}

static bool begins(enum kw_json_type type)
{
    return type == KW_JSON_OBJECT_BEGIN || type == KW_JSON_ARRAY_BEGIN;
}

/* Reads up to the end of the object or array that just began. */
static enum kw_status skip_inside(struct kw_json_reader *reader, struct seen_names *names, struct kw_error *error_out)
{
    size_t object_at_depth[KW_JSON_DEPTH_MAX + 1] = {0};
    size_t object_count = 0;
    uint32_t depth_outside = reader->depth - 1;
    while (reader->depth > depth_outside) {
        struct kw_json_token token;
        enum kw_status status = kw_json_next(reader, &token, error_out);
        if (status == KW_OK && token.type == KW_JSON_NAME) {
            status = remember(names, reader, object_at_depth[reader->depth], &token, error_out);
        }
        if (status != KW_OK) {
            return status;
        }
        if (begins(token.type)) {
            object_at_depth[reader->depth] = ++object_count;
        }
    }
    merge_all(names);
    return names->duplicate == NULL
               ? KW_OK
               : kw__json_refuse(reader, names->duplicate->offset, "the name stands twice in its object", error_out);
}

enum kw_status kw_json_skip(struct kw_json_reader *reader, const struct kw_json_token *first, struct kw_bytes *raw_out,
                            struct kw_error *error_out)
{
    struct kw_json_reader inside = *reader;
    if (begins(first->type)) {
        struct seen_names names = {0};
        enum kw_status status = skip_inside(&inside, &names, error_out);
        if (status != KW_OK) {
            return status;
        }
    }
    *raw_out = kw_bytes_of(reader->input.data + first->offset, inside.at - first->offset);
    *reader = inside;
    return KW_OK;
}

enum kw_status kw_json_pass(struct kw_json_reader *reader, const struct kw_json_token *first,
                            struct kw_error *error_out)
{
    uint32_t depth_outside = reader->depth - begins(first->type);
    enum kw_status status = KW_OK;
    while (status == KW_OK && reader->depth > depth_outside) {
        struct kw_json_token token;
        status = kw_json_next(reader, &token, error_out);
    }
    return status;
}
