//! The contract of the store and of the verbs upon it, executed: one list of cases, run on every backend.
//!
//! A second backend is one more line at the end, and a function of its name in `bed`.

mod atomic;
pub(crate) mod bed;
mod conditions;
mod deletions;
mod exports;
mod filters;
mod imports;
mod lists;
mod model;
mod namespaces;
mod outages;
mod outbox;
mod patches;
mod puts;
mod reads;
mod relationships;
mod replicas;
mod resolutions;
mod rights;
mod schemas;
pub(crate) mod server;
mod traversals;
mod variants;
mod visibility;

/// Makes `conformance!`, which runs each of the cases on one backend.
macro_rules! cases {
    ($($group:ident { $($case:ident)+ })+) => {
        macro_rules! conformance {
            ($backend:ident) => {
                mod $backend {
                    $(mod $group {
                        $(#[tokio::test]
                        async fn $case() {
                            let bed = super::super::bed::$backend().await;
                            super::super::$group::$case(bed).await;
                        })+
                    })+
                }
            };
        }
    };
}

cases! {
    puts {
        a_put_thing_is_read_back_as_it_was_given
        a_put_of_an_absent_name_creates_it
        a_put_of_a_present_name_replaces_it_whole
        a_put_that_equals_the_state_writes_nothing_and_keeps_the_etag
        another_embedding_is_another_state
        an_embedding_never_reaches_the_outbox
        another_visibility_is_another_state
        a_put_keeps_the_time_of_creation
        a_state_is_as_old_as_its_etag
        data_keeps_its_key_order_and_number_lexemes
        an_underscore_is_a_space_in_a_wiki_namespace
        an_underscore_stays_in_a_literal_namespace
        an_id_that_its_namespace_does_not_take_is_refused_with_field_and_rule
        what_is_largest_is_kept
        tenants_do_not_share_names
        concurrent_puts_of_one_name_are_serial
    }
    conditions {
        create_only_is_refused_on_a_present_name
        create_only_creates_an_absent_name
        update_only_is_refused_on_an_absent_name
        update_only_replaces_a_present_name
        the_present_etag_lets_a_put_through
        one_of_several_etags_is_enough
        a_stale_etag_is_refused_and_told_the_present_one
        an_etag_of_an_absent_name_is_stale
        a_stale_etag_is_refused_even_where_nothing_would_change
        a_stale_etag_refuses_a_patch
        a_stale_etag_refuses_a_deletion
        of_racing_creations_one_wins
        of_racing_puts_with_one_etag_one_wins
        a_relationship_has_conditions_too
    }
    patches {
        a_patch_changes_the_given_fields_only
        a_patch_clears_fields
        a_patch_merges_data
        a_merge_into_no_data_begins_with_an_empty_object
        a_patch_that_changes_nothing_keeps_the_etag
        a_patch_of_an_absent_thing_is_not_found
        a_patch_keeps_the_embedding
        a_merge_that_grows_too_large_is_refused
    }
    deletions {
        a_deleted_thing_is_absent
        a_deletion_of_an_absent_thing_is_not_found
        a_deletion_takes_variants_and_relationships_each_with_its_own_mutation
        a_deletion_takes_the_relationships_of_both_directions
        a_deletion_of_a_variant_leaves_the_thing
        a_relationship_with_itself_is_deleted_once
        a_name_that_is_created_again_goes_on_after_its_last_ulid
        a_name_that_is_created_again_is_created_anew
        what_depends_on_a_thing_is_deleted_before_it
        a_deletion_takes_however_many_steps_it_needs
        a_deletion_of_more_dependents_than_a_write_takes_is_refused_and_keeps_all
        a_deletion_of_more_bytes_than_a_write_takes_is_refused_until_some_are_gone
        a_refused_condition_comes_before_too_many_dependents
    }
    variants {
        a_variant_needs_its_canonical_thing
        a_variant_is_a_state_of_its_own
        the_best_preferred_variant_is_returned
        a_variant_that_is_asked_for_is_not_traded_for_a_preferred_one
        a_variant_is_hidden_with_its_canonical_thing
        a_hidden_variant_is_passed_over_for_the_canonical_thing
    }
    reads {
        an_absent_thing_is_not_found
        a_thing_is_found_by_path_and_by_key
        a_path_needs_no_known_split
        an_embedding_is_returned_where_it_is_asked_for
        a_batch_answers_in_order_and_says_what_is_missing
        a_large_batch_ends_before_it_is_too_large
        a_batch_of_none_or_too_many_is_refused
        the_canonical_key_is_returned
    }
    lists {
        things_are_listed_by_id_then_variant_as_bytes
        pages_follow_each_other_without_gap_or_repetition
        a_page_token_is_good_for_its_question_only
        a_list_can_be_of_one_type
        an_unregistered_namespace_lists_nothing
        a_page_ends_before_it_is_too_large
        a_namespace_lists_its_own_things_only
        the_last_page_has_no_token
        a_page_of_things_ends_where_enough_rows_have_been_looked_at
        a_page_of_relationships_ends_where_enough_rows_have_been_looked_at
        a_large_relationship_that_is_not_shown_counts_for_many
        the_first_page_of_little_among_much_is_short_and_its_token_goes_on
        a_page_token_is_good_after_a_restart
    }
    filters {
        a_list_can_be_of_one_visibility_or_code
        a_list_can_be_of_what_was_changed_in_a_time
        a_list_can_be_of_fields_of_data
        strings_of_data_are_compared_as_bytes_and_numbers_as_doubles
        a_prefix_lists_a_namespace_and_those_under_it
        without_a_namespace_all_are_listed_by_namespace
        things_are_listed_by_their_last_change_both_ways
        a_count_is_of_what_the_caller_may_see_listed
        what_a_condition_on_data_hides_counts_as_looked_at
        many_namespaces_are_listed_page_by_page
    }
    relationships {
        a_relationship_is_read_back_as_it_was_given
        an_end_must_exist
        a_relationship_may_not_lead_to_what_the_caller_does_not_see
        an_equal_relationship_writes_nothing
        a_changed_end_moves_the_relationship
        relationships_are_listed_by_direction_and_type
        relationships_are_listed_page_by_page
        a_relationship_with_itself_is_listed_once
        relationships_at_an_absent_thing_are_not_found
        a_deleted_relationship_is_absent
        things_and_relationships_have_name_spaces_of_their_own
        the_ten_thousandth_outgoing_relationship_is_the_last
        a_variant_has_the_relationships_of_nothing
    }
    namespaces {
        a_registration_can_be_repeated
        a_registered_style_is_fixed
        a_path_of_two_segments_registers_its_namespace
        a_key_in_a_namespace_of_one_segment_registers_it
        a_longer_path_in_no_namespace_is_refused_and_told_how_to_register
        a_key_in_an_unregistered_namespace_of_two_segments_is_refused
        the_longest_namespace_wins
        a_namespace_over_a_name_is_refused
        a_namespace_over_a_deleted_name_is_refused
        a_namespace_over_a_relationship_is_refused
        a_name_under_a_longer_namespace_is_refused
        a_namespace_beside_a_name_is_registered
        of_a_racing_name_and_namespace_one_wins
        a_refused_put_registers_nothing
        tenants_register_for_themselves
        a_namespace_tells_what_it_has_and_when_that_changed
        a_namespace_is_told_to_its_readers_only
        namespaces_are_listed_by_name_page_by_page
        a_namespace_that_never_had_a_name_can_be_taken_back
        a_namespace_with_a_relationship_cannot_be_taken_back
        a_namespace_does_not_count_relationships_for_who_may_not_see_their_ends
        changes_of_one_write_find_a_namespace_as_those_before_left_it
        a_name_that_is_made_on_the_way_registers_a_namespace_that_was_taken_back
        names_may_lie_in_a_namespace_that_a_change_before_them_registers
    }
    visibility {
        a_private_thing_is_not_found_like_an_absent_one
        an_unlisted_thing_is_found_by_exact_name_only
        a_reader_sees_everything_in_the_namespace
        a_reader_of_another_namespace_sees_what_is_public
        a_list_shows_what_is_public_to_those_who_may_not_read
        a_page_token_does_not_tell_of_hidden_things
        variants_of_a_hidden_thing_are_not_listed
        a_relationship_is_hidden_with_an_end
        listed_relationships_have_both_ends_listed
        relationships_at_a_hidden_thing_are_not_found
        a_foreign_thing_is_not_found
        hidden_things_take_no_room_in_a_batch
    }
    rights {
        writing_needs_write_on_the_namespace
        a_refused_writer_does_not_learn_what_exists
        a_refused_writer_by_path_does_not_learn_what_exists
        an_anonymous_writer_is_asked_for_a_key
        registering_needs_admin
        registering_on_the_way_needs_write
        a_peer_writes_nothing
        a_relationship_needs_write_on_its_own_namespace_only
        a_writer_who_does_not_see_a_relationship_cannot_put_over_it_nor_learn_its_etag
        a_writer_who_does_not_see_a_relationship_frees_its_name
        a_writer_who_names_the_unlisted_end_puts_again
    }
    resolutions {
        a_name_resolves_to_its_key_style_and_last_ulid
        a_deleted_name_resolves
        a_name_that_never_was_is_not_found
        a_private_name_is_not_found
        a_variant_of_a_private_thing_is_not_found
        a_deleted_relationship_with_a_private_end_is_not_found
        the_future_is_refused
        no_later_mutation_is_at_or_before_the_moment_that_was_asked_for
        a_resolution_sees_every_write_that_was_asked_for_before
    }
    outbox {
        a_mutation_says_before_after_actor_request_and_cause
        a_refused_write_leaves_no_mutation
        a_batch_is_the_same_until_it_is_acknowledged
        batches_are_numbered_without_gap
        a_batch_is_at_most_ten_thousand_events
        a_batch_is_at_most_eight_mebibytes_or_one_event
        an_older_lease_takes_nothing
        the_backlog_counts_what_waits
        a_waiting_relay_is_woken_by_a_commit
        an_acknowledged_batch_does_not_come_again_after_a_restart
        an_unacknowledged_batch_comes_again_after_a_restart
        it_is_settled_once_all_that_was_committed_before_is_acknowledged
        what_was_acknowledged_is_settled_after_a_restart
        no_write_after_a_settling_is_at_or_before_its_time
        a_settling_counts_every_write_that_was_asked_for_before
    }
    imports {
        an_import_puts_things_and_relationships_in_order
        an_import_that_is_repeated_writes_nothing
        a_write_whose_sequence_has_ended_is_refused
        a_bad_row_is_left_out_and_reported
        a_message_of_too_many_rows_is_refused
        the_first_request_id_counts_for_the_whole_import
        rows_are_counted_across_messages
        an_earlier_clock_after_a_restart_gives_no_name_the_ulid_of_another
        an_import_with_an_id_is_gone_on_with_where_it_ended
        rows_that_do_not_follow_those_of_their_import_are_refused
        what_follows_a_part_that_is_refused_is_refused
        an_import_is_its_principals_and_is_known_for_a_day
        a_namespace_is_imported_by_who_may_register_it
    }
    exports {
        an_export_that_is_imported_again_makes_the_same
        an_export_tells_what_the_caller_may_see_listed
        an_export_is_of_the_namespaces_that_are_asked_for
        an_export_goes_on_behind_its_token
        an_export_is_of_one_moment
        a_client_that_goes_away_ends_its_export
    }
    atomic {
        a_write_changes_things_and_relationships_in_order
        a_write_of_which_one_change_is_refused_leaves_nothing
        a_change_sees_those_before_it
        a_write_that_is_only_validated_keeps_nothing
        a_repeated_request_is_carried_out_once
        a_request_id_is_its_principals_and_for_a_day
        a_refused_request_is_not_remembered
        of_racing_requests_with_one_id_one_is_carried_out
        who_may_not_write_one_of_the_names_writes_none
        a_thousand_changes_are_one_write
    }
    traversals {
        a_walk_reaches_each_thing_once_at_its_least_distance
        a_walk_goes_in_the_direction_and_by_the_types_that_are_asked_for
        a_walk_does_not_go_through_what_is_hidden
        a_walk_from_what_is_unlisted_reaches_nothing_for_others
        a_walk_from_an_absent_thing_is_not_found
        a_walk_ends_where_it_is_full
        a_walk_goes_on_where_a_thing_has_very_many_relationships
        a_walk_is_of_one_moment
        the_other_ends_are_told_in_short
    }
    schemas {
        a_schema_is_read_back_as_it_was_given
        what_is_no_schema_is_refused_with_its_place
        a_put_that_breaks_the_schema_is_refused_with_each_place
        absent_data_count_as_an_empty_object
        a_patch_that_breaks_the_schema_is_refused
        a_change_of_type_counts_against_the_new_types_schema
        a_variant_satisfies_the_schema_too
        rows_of_an_import_that_break_the_schema_are_left_out
        a_write_of_which_one_change_breaks_the_schema_leaves_nothing
        a_schema_that_things_break_is_refused_and_names_them
        the_first_hundred_that_break_a_schema_are_named
        a_schema_that_is_replaced_or_deleted_counts_no_more
        an_equal_put_changes_nothing_where_a_schema_is
        schemas_are_listed_by_type_and_are_a_hundred_at_most
        schemas_are_for_readers_and_are_changed_by_admins
        another_tenants_schema_does_not_count
        a_namespace_takes_its_schemas_along
        a_hostile_pattern_or_schema_takes_no_long_time
        what_is_written_while_things_are_looked_at_refuses_the_schema
        of_a_racing_schema_and_a_write_that_breaks_it_one_is_refused
    }
    model {
        random_operations_agree_with_a_model_and_with_the_fold_of_their_mutations
    }
}

conformance!(sqlite);
conformance!(postgres_16);
conformance!(postgres_18);
