//! What a store must do, on every back end: one list of cases, each run on SQLite and on PostgreSQL.
//!
//! A case gets a [`stage::Stage`], a place that nobody else uses, and opens it as often as it likes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for every task that it spawns, and finds its server by the environment"
)]

mod approvals;
mod backlog;
mod balance;
mod begun_jobs;
mod browser;
mod build;
mod calls_of_one;
mod clicks;
mod configs;
mod conversions;
mod destinations;
mod erasures;
mod fx;
mod hybrid;
mod jobs;
mod journeys;
mod ledger;
mod ledger_sums;
mod lookbacks;
mod nonces;
mod offers;
mod opening;
mod outbox;
mod outbox_reads;
mod postbacks;
mod purges;
mod receipts;
mod requeue;
mod reversals;
mod settle;
mod sightings;
mod stage;
mod steps;
mod tokens;
mod tool_runs;
mod waits;

/// Makes a test of each case on each back end.
macro_rules! suite {
    ($($module:ident { $($case:ident)* })*) => {
        mod sqlite {$(
            mod $module {$(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let stage = crate::stage::Stage::sqlite();
                    crate::$module::$case(&stage).await;
                    stage.end().await;
                }
            )*}
        )*}
        mod postgres {$(
            mod $module {$(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let stage = crate::stage::Stage::postgres().await;
                    crate::$module::$case(&stage).await;
                    stage.end().await;
                }
            )*}
        )*}
    };
}

suite! {
    opening {
        everything_is_there_after_opening_again
        a_closed_store_says_so
        two_stores_at_one_place_see_each_others_writes
        a_newer_schema_is_refused_and_left_alone
        a_store_can_tell_whether_writes_get_through
    }
    clicks {
        a_click_comes_back_as_it_was
        a_click_is_appended_once
        many_clicks_are_appended_together
        clicks_of_many_tasks_all_arrive
    }
    browser {
        an_event_comes_back_as_it_was
        an_event_is_recorded_once_and_a_click_has_so_many
        no_event_crowds_a_denial_out
        of_many_conversions_at_once_one_has_the_event
    }
    hybrid {
        clicks_are_counted_once_however_often_it_is_asked
        what_was_sent_comes_with_what_was_told
    }
    receipts {
        a_receipt_comes_back_as_it_was
        every_verdict_and_reason_comes_back
        an_id_that_is_there_is_refused_and_spoils_nothing_else
        receipts_are_listed_newest_first_page_by_page
        receipts_are_found_by_conversion_and_by_click
        the_balance_counts_every_receipt
    }
    balance {
        receipts_are_counted_by_hour_and_by_day
        an_hour_whose_counts_are_off_is_found
        invented_partners_are_counted_under_one_name
    }
    postbacks {
        everything_of_a_booking_is_stored
        the_decision_sees_what_is_stored
        one_key_a_hundred_times_at_once_is_one_conversion
        no_movement_is_lost_when_many_come_at_once
        a_booking_that_fails_leaves_nothing
        a_movement_that_does_not_follow_is_refused
        a_bad_booking_leaves_its_neighbours_alone
        one_key_of_two_partners_is_two_conversions
    }
    waits {
        what_waits_for_one_thing_is_listed_in_its_order
        what_has_come_wakes_what_waits_for_it
        a_wait_for_something_else_is_left_alone
    }
    nonces {
        a_number_is_used_once_by_a_partner
        of_a_hundred_at_once_one_is_booked
        a_booking_that_fails_leaves_its_number_free
        old_numbers_are_forgotten_and_young_ones_stay
    }
    sightings {
        each_conversion_counts_once_within_the_span
        calls_at_once_note_all_of_theirs
        what_was_seen_is_forgotten_by_age
        labels_come_back_as_they_were_written
    }
    journeys {
        deciding_calls_come_with_what_was_before
        a_call_that_was_read_again_decided_what_it_came_to
        calls_that_booked_nothing_are_not_looked_at
        calls_are_looked_at_page_by_page_and_counted
    }
    ledger {
        sums_of_movements_are_the_balance
    }
    reversals {
        a_reversal_is_followed_once_and_only_as_it_stands
        only_what_was_never_tried_is_withdrawn
        who_comes_late_withdraws_and_restores_nothing
        what_goes_out_again_is_noted_if_its_sale_has_moved
        a_movements_note_stays_one_whoever_notes_it_too
        an_adjustment_that_fails_is_noted
        what_is_over_stated_is_as_it_was_told_last
    }
    offers {
        a_count_that_is_written_twice_counts_once
        counts_of_all_nodes_add_up_and_old_days_are_forgotten
    }
    steps {
        steps_of_a_click_come_back_in_their_order
    }
    approvals {
        the_share_of_approvals_is_of_what_was_decided
    }
    lookbacks {
        a_call_is_taken_by_one_and_comes_again
        what_was_found_is_written_where_it_still_stands
        what_was_sent_again_is_left_alone
        what_had_arrived_before_stands
        what_is_too_old_is_forgotten
        a_call_of_one_event_is_asked_about
        what_passes_waits_to_be_sent_once_more
        what_counted_in_part_is_told_so_whatever_comes_of_it
        what_fails_too_often_is_sent_no_more
        what_comes_too_late_or_was_taken_back_is_not_sent_once_more
        what_goes_again_is_noted_if_its_sale_has_moved
        a_call_that_was_never_settled_is_asked_about_in_vain
    }
    ledger_sums {
        sums_are_those_of_a_model_at_every_time
        sums_are_of_what_is_asked_for
    }
    fx {
        rates_are_imported_once_and_replaced_with_a_word
        rates_are_listed_latest_first_page_by_page
        what_waits_for_a_rate_is_found_and_settled_once
        a_rate_moves_on_with_its_conversion
        what_has_a_rate_is_found_by_its_day
        jobs_are_kept
    }
    conversions {
        a_conversion_comes_back_as_it_was
        a_conversion_moves_on_in_every_field
        conversions_are_listed_newest_first_page_by_page
        conversions_are_found_by_click
        conversions_are_found_by_transaction_whatever_the_event
        goal_events_come_back_as_they_were
    }
    outbox {
        due_deliveries_are_leased_oldest_first
        what_is_leased_is_not_leased_again
        two_owners_never_hold_the_same_delivery
        a_lease_that_ran_out_is_leased_anew_under_a_higher_fence
        an_old_fence_changes_nothing
        a_call_is_opened_only_while_the_lease_lasts
        leases_are_renewed_and_released
        a_single_place_goes_to_each_lane_in_its_turn
        overdue_deliveries_expire
        a_delivery_booked_in_a_final_state_is_never_leased
    }
    settle {
        delivered_is_final
        a_retry_waits_for_its_time_and_counts
        a_wait_does_not_count
        what_waits_goes_behind_what_is_due
        dead_and_expired_are_final
        what_may_have_arrived_has_less_time
        a_kept_lease_goes_on_with_another_call
        a_second_settlement_is_stale
        neighbours_of_a_stale_one_are_settled
        the_destinations_state_changes_in_the_same_transaction
        what_was_never_sent_ends_without_an_attempt
        many_calls_are_written_down_together
        many_ends_do_what_each_of_them_does
        a_call_that_cannot_be_opened_holds_up_no_other
    }
    calls_of_one {
        attempts_alone_and_with_others_come_in_their_order
        what_was_left_open_alone_and_with_others_is_closed
        an_answer_after_the_end_is_kept_and_decides_nothing
        an_attempt_is_closed_once_and_by_whoever_holds_it
        the_one_that_was_held_is_settled_among_those_that_were_not
        a_purge_empties_what_was_sent_and_what_was_answered
        what_was_sent_is_purged_in_the_order_of_the_calls
        an_erasure_empties_every_try
    }
    requeue {
        dead_and_expired_ones_start_anew
        waiting_ones_lose_their_wait
        what_needs_no_help_is_left_alone
        filters_choose
        thousands_are_requeued
    }
    begun_jobs {
        a_request_begins_one_job
        of_requests_at_once_one_begins
    }
    jobs {
        lanes_share_a_lease
        a_job_goes_through_its_deliveries_once
        what_arrived_is_sent_again_only_if_asked_for
        a_job_books_for_another_destination
        a_job_books_what_waits_for_another_destination
        a_job_calls_off_what_waits
        filters_choose
        a_job_waits_and_goes_on_when_told
        what_was_taken_back_is_left_out
        what_had_arrived_stays_so_whatever_comes_of_a_replay
        days_tell_what_arrived
    }
    outbox_reads {
        deliveries_are_listed_newest_first_page_by_page
        filters_narrow_the_list
        places_narrow_the_list_before_it_is_cut_into_pages
        deliveries_of_a_conversion_are_found
        the_next_due_time_minds_leases
        counts_follow_every_change
        attempts_come_back_with_their_calls
        what_the_url_of_a_get_says_is_its_payload
        hours_tell_what_arrived_by_its_ids
    }
    erasures {
        a_request_is_in_one_hand_until_it_is_done
        tombstones_are_learned_of_in_their_order_and_stop_spooled_clicks
        of_a_click_a_rest_stays_under_another_id
        of_a_sale_the_money_stays_and_what_was_to_be_sent_is_cancelled
        two_requests_at_once_leave_one_rest_and_count_once
        what_had_arrived_is_not_told_as_cancelled
        what_was_repaired_goes_with_its_call
        what_is_under_way_brings_nothing_back
        a_replay_finds_an_erased_sale_moved
        a_sale_that_moves_while_it_is_erased_is_read_again
        a_sale_that_is_adjusted_while_it_is_erased_is_read_again
        an_answer_that_comes_after_is_not_kept
    }
    purges {
        clicks_lose_their_addresses_oldest_first
        receipts_events_and_calls_lose_what_is_over
        a_call_that_was_never_settled_loses_its_url_too
        what_waits_keeps_its_call_until_it_has_waited
        what_waits_no_more_is_emptied_if_its_time_is_over
    }
    destinations {
        a_state_is_set_and_set_again
        only_a_hand_ends_what_a_hand_began
        a_call_lifts_no_pause_that_has_begun_since
        an_outage_is_noted_and_ends
        a_probe_is_one_nodes_and_only_of_the_pause_it_was_due_for
    }
    configs {
        a_configuration_is_applied_on_its_base_only
        of_many_at_once_one_is_applied
        an_installation_value_is_made_once
    }
    tool_runs {
        a_run_comes_back_as_it_was
        runs_are_listed_newest_first_and_the_oldest_forgotten
        runs_of_one_tool_push_out_none_of_another
    }
    tokens {
        a_token_comes_back_as_it_was
        a_token_is_revoked_once
        a_hash_is_taken_once
    }
}
