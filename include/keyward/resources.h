/*
 * What a key may do on single resources, put together step by step: for programs whose grants come from tables or
 * forms, and need not be named all at once. Everything is held to the rules of a creation as it is added, so what is
 * built here is not refused later for its form.
 *
 *     struct kw_error error;
 *     struct kw_new_key made;
 *     bool made_it = false;
 *     struct kw_resources *resources = kw_resources_new();
 *     struct kw_key_params params = {.given = KW_GIVEN_OWNER, .owner = kw_text("user:1")};
 *     if (kw_resources_add(resources, kw_text("website"), kw_text("123"), kw_text("read"), &error) == KW_OK) {
 *         kw_resources_build(resources, &params);
 *         made_it = kw_create(kw, &(struct kw_change_request){.params = &params}, &made, &error) == KW_OK;
 *     }
 *     kw_resources_free(resources);
 *
 * A resource is a type and an id: "website" and "123". The id "*" means every resource of the type; the type "*" with
 * an empty id every resource there is. One builder belongs to one thread at a time.
 */
#ifndef KEYWARD_RESOURCES_H
#define KEYWARD_RESOURCES_H

#include <keyward/record.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kw_resources;

/* Empty; NULL without memory, which every function here takes and answers with TOO_BUSY or "nothing". */
KW_API struct kw_resources *kw_resources_new(void);
/* NULL is fine. What was built from it must not be used any more. */
KW_API void kw_resources_free(struct kw_resources *resources);

/*
 * Grants a scope on a resource; one that it holds already stays. `error_out` may be NULL here and below. On failure
 * nothing was added: KW_E_INVALID (INVALID_FIELD) names "resources", "resources.website:123" or, for a scope,
 * "resources.website:123[0]", where a name has no valid form or KW_RESOURCE_COUNT_MAX, KW_SCOPE_COUNT_MAX or
 * KW_RESOURCES_MAX would be passed; KW_E_BUSY (TOO_BUSY) without memory.
 */
KW_API KW_MUST_USE enum kw_status kw_resources_add(struct kw_resources *resources, struct kw_bytes type,
                                                   struct kw_bytes id, struct kw_bytes scope,
                                                   struct kw_error *error_out);
/* The same for one scope or more, all or none. */
KW_API KW_MUST_USE enum kw_status kw_resources_add_many(struct kw_resources *resources, struct kw_bytes type,
                                                        struct kw_bytes id, const struct kw_bytes *scopes,
                                                        size_t scope_count, struct kw_error *error_out);
/* Adds what a record holds, all or none: to give a new key what another one has, but for some of it. */
KW_API KW_MUST_USE enum kw_status kw_resources_add_record(struct kw_resources *resources,
                                                          const struct kw_record *record, struct kw_error *error_out);
/*
 * Adds what a JSON object says, all or none: {"website:123": ["read"], "website:*": ["list"]}. Beside the above
 * INVALID_JSON, and DUPLICATE_FIELD for a name that stands twice.
 */
KW_API KW_MUST_USE enum kw_status kw_resources_add_json(struct kw_resources *resources, struct kw_bytes json,
                                                        struct kw_error *error_out);

/*
 * Takes a scope away, and the resource with its last one; with an empty `scope` all of the resource. True when there
 * was something to take. Wildcards stand for themselves: taking ("website", "*", "read") leaves ("website", "123",
 * "read") as it is.
 */
KW_API bool kw_resources_remove(struct kw_resources *resources, struct kw_bytes type, struct kw_bytes id,
                                struct kw_bytes scope);
/* Whether that very scope was added on that very resource; with an empty `scope` whether any was. */
KW_API bool kw_resources_has(const struct kw_resources *resources, struct kw_bytes type, struct kw_bytes id,
                             struct kw_bytes scope);
/* How many resources there are. */
KW_API size_t kw_resources_count(const struct kw_resources *resources);

/*
 * Puts them into `params` as what is given: of an update, none at all means that the key is to lose those it has. The
 * params borrow from the builder until it is changed or freed.
 */
KW_API void kw_resources_build(struct kw_resources *resources, struct kw_key_params *params);

#ifdef __cplusplus
}
#endif
#endif
