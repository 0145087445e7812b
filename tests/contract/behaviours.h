/*
 * Every behaviour of the contract, by name. main.c runs all of them on every kind of store.
 */
#ifndef KW_TESTS_CONTRACT_BEHAVIOURS_H
#define KW_TESTS_CONTRACT_BEHAVIOURS_H

#include "contract/contract.h"

/* clang-format off */
#define CONTRACT_BEHAVIOURS(X) \
    /* rows.c */ \
    X(a_row_comes_back_as_it_was_put) \
    X(any_bytes_and_the_largest_sizes_come_back) \
    X(what_is_not_there_is_not_found) \
    X(a_change_replaces_the_row) \
    X(a_change_of_one_field_is_found_by_it) \
    X(a_list_is_in_order_of_ids) \
    X(a_list_goes_on_after_an_id) \
    X(a_tombstone_is_found_by_no_id_and_in_no_list) \
    X(tombstones_are_listed_in_order_of_ids) \
    X(rows_that_are_due_come_in_the_order_of_their_times) \
    X(what_is_due_follows_every_change) \
    X(changes_follow_the_commits) \
    X(changes_never_part_a_batch) \
    X(rows_are_counted_by_project) \
    X(a_sink_that_stops_ends_the_call) \
    /* commits.c */ \
    X(another_version_is_a_conflict) \
    X(an_id_that_is_there_is_a_conflict) \
    X(a_digest_that_is_there_is_a_conflict) \
    X(a_tombstones_digest_is_taken_for_ever) \
    X(a_tombstone_is_never_replaced) \
    X(a_digest_can_be_changed_and_is_free_again) \
    X(a_batch_with_a_conflict_changes_nothing) \
    X(neighbours_of_a_conflict_are_committed) \
    X(a_conflict_in_a_crowd_of_batches_stays_alone) \
    X(a_later_batch_sees_an_earlier_one) \
    X(a_batch_may_come_in_pieces) \
    X(what_is_wrong_with_a_late_piece_takes_all_back) \
    X(a_batch_in_pieces_is_committed_alone) \
    X(a_row_may_be_put_twice_in_a_batch) \
    X(sequences_ascend_with_commits) \
    X(nothing_to_commit_is_fine) \
    X(sizes_beyond_the_caps_are_refused) \
    X(rows_that_could_not_be_found_are_refused) \
    X(settings_are_kept_and_removed) \
    X(settings_are_listed_by_what_they_begin_with) \
    /* filters.c */ \
    X(every_filter_agrees_with_a_plain_search) \
    X(a_filter_that_cannot_be_is_refused) \
    X(a_cursor_stays_right_while_rows_are_added) \
    X(audit_filters_agree_with_a_plain_search) \
    X(pruning_agrees_with_a_plain_search) \
    /* logs.c */ \
    X(audit_lines_are_in_order) \
    X(pruned_lines_are_gone_and_their_sequences_stay_used) \
    X(pruning_removes_no_more_than_asked) \
    X(events_are_handed_out_in_order_and_once) \
    X(a_claim_that_ran_out_is_handed_out_again) \
    X(a_settled_event_never_comes_back) \
    X(events_a_stopped_sink_did_not_see_stay_claimed) \
    X(an_event_in_the_log_keeps_its_id) \
    /* events.c */ \
    X(a_settled_event_stays_in_the_list) \
    X(lists_of_events_agree_with_a_plain_search) \
    X(a_cursor_of_events_stays_right_while_they_are_added) \
    X(pruning_events_agrees_with_a_plain_search) \
    X(a_pruned_event_is_handed_out_no_more) \
    X(a_list_of_events_keeps_to_its_bounds) \
    /* seals.c */ \
    X(a_seal_stands_beside_its_line) \
    X(a_line_is_sealed_once) \
    X(many_lines_are_sealed_at_once) \
    X(a_pruned_line_takes_its_seal_along) \
    X(seals_beyond_the_caps_are_refused) \
    /* checkpoints.c */ \
    X(checkpoints_are_listed_by_project_and_place) \
    X(a_checkpoint_is_replaced_and_removed) \
    X(checkpoints_beyond_the_caps_are_refused) \
    X(what_is_erased_is_gone_and_the_rest_stays) \
    X(only_a_sealed_line_is_erased) \
    /* usage.c */ \
    X(use_is_added_up) \
    X(use_is_read_in_order_and_range) \
    X(use_stays_at_the_largest_number) \
    X(use_is_added_all_or_none) \
    /* reservations.c */ \
    X(a_reservation_takes_what_is_left) \
    X(a_reservation_gives_back_no_more_than_was_taken) \
    X(a_note_stays_until_another_comes) \
    X(a_credit_goes_below_nothing) \
    X(a_look_changes_nothing) \
    X(reservations_of_other_names_periods_and_lineages_are_apart) \
    X(a_limit_that_was_lowered_grants_nothing) \
    X(amounts_of_any_size_stay_in_their_bounds) \
    X(batches_of_one_commit_share_a_limit) \
    X(a_batch_that_failed_has_taken_nothing) \
    X(a_credit_comes_with_its_audit_line) \
    X(reservations_agree_with_a_plain_sum) \
    X(reservations_are_read_in_order_until_their_end) \
    X(the_latest_end_of_a_reservation_stays) \
    X(reservations_are_pruned_in_steps) \
    X(reservations_beyond_the_caps_are_refused) \
    /* counts.c */ \
    X(counts_of_other_projects_and_dimensions_are_apart) \
    X(hours_become_days_in_steps) \
    X(days_are_removed_in_steps) \
    X(the_latest_use_is_shown_with_its_row) \
    X(a_change_of_a_row_keeps_its_use) \
    X(a_tombstone_has_no_use) \
    X(rows_are_found_by_their_use) \
    X(counts_are_committed_with_their_batch) \
    X(uses_that_cannot_be_are_refused) \
    /* deferred.c */ \
    X(deferred_use_comes_back_by_parts_and_in_order) \
    X(deferred_use_is_settled_up_to_a_piece) \
    X(deferred_use_is_kept_and_settled_all_or_none) \
    /* deliveries.c */ \
    X(an_event_becomes_deliveries_once) \
    X(an_event_for_nobody_is_settled) \
    X(deliveries_of_a_key_are_handed_out_one_at_a_time) \
    X(a_claim_of_a_delivery_runs_out_or_is_released) \
    X(deliveries_beyond_the_caps_are_refused) \
    X(deliveries_agree_with_a_plain_model) \
    /* requests.c */ \
    X(a_request_is_found_by_its_name) \
    X(a_request_is_done_once) \
    X(a_request_of_a_batch_that_failed_is_not_done) \
    X(two_batches_of_one_request_make_one_key) \
    X(old_requests_are_pruned_in_steps) \
    X(a_request_without_a_key_is_refused)
/* clang-format on */

#define X(name) contract_behaviour name;
CONTRACT_BEHAVIOURS(X)
#undef X

#endif
