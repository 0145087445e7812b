/* What the model knows of scopes, resources, addresses and regions: who may do what, and what lies within what. */
#ifndef KW_TESTS_SIM_MODEL_RIGHTS_H
#define KW_TESTS_SIM_MODEL_RIGHTS_H

#include "sim/model.h"

/* The scope by global ones; and on a resource, by these or by a grant on it. */
bool model_allows(unsigned granted, int wanted);
bool model_allows_on(const struct model_rights *rights, int resource, int wanted);

bool model_scopes_within(const struct model_rights *inner, const struct model_rights *outer);
/* What both name; a key that names none stands under the other's. */
bool model_lists_within(const struct model_rights *inner, const struct model_rights *outer);
/* By its own rules alone. */
bool model_places_within(const struct model_rights *inner, const struct model_rights *outer);

bool model_address_passes(const struct model_rights *rights, int address);
bool model_place_passes(const struct model_rights *rights, int place);
/* Scopes and resource that are asked for, requirements apart. */
bool model_holds(const struct model_rights *rights, const struct model_question *question);
/* The requirement, by a key and its ancestors together. */
bool model_meets(const struct model_rights *const *links, int count, const struct model_question *question);
/* Whether any scope is left to all of them on the resource. */
bool model_share_a_scope(const struct model_rights *const *links, int count, int resource);

#endif
