//! What every transport must do: one list of tests, written against the public API only.
//!
//! [`behaviours!`](crate::behaviours) makes a test of each. They wait for what must come (10 s at
//! most), and measure time only from below, so that they hold for a broker on a busy machine too.
//! Each needs a bus of its own, without any queues.

#![allow(missing_docs, reason = "the names of tests say what they are about")]

pub mod answers;
pub mod batches;
pub mod beside;
pub mod catching_up;
pub mod cloud_events;
pub mod commands;
pub mod consuming;
pub mod dead_letters;
pub mod dedup;
pub mod expiry;
pub mod flow;
pub mod handlers;
pub mod order;
pub mod parking;
pub mod publishing;
pub mod registered;
pub mod replays;
pub mod retry;
pub mod routing;
mod tools;
pub mod topology;

/// Makes a test of each behaviour. Given is an async function without arguments that makes a bus, as
/// `Option<Arc<dyn Transport>>`; where it makes none, the test is skipped.
///
/// The crate needs tokio with `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! behaviours {
    ($make:expr) => {
        $crate::behaviours! { @each $make;
            batches: messages_that_are_handled_together_have_each_a_fate_of_their_own,
                a_batch_that_fails_comes_again;
            beside: what_a_stranger_says_beside_its_bytes_survives_parking_and_redriving,
                what_a_stranger_says_beside_an_envelope_survives_retries,
                fields_that_this_version_does_not_know_reach_the_handler,
                a_trace_that_stands_only_in_the_headers_is_understood,
                an_envelope_that_breaks_its_bounds_is_parked_with_the_field;
            answers: an_answer_has_the_type_that_the_schema_of_the_command_names,
                a_handler_whose_answer_breaks_its_contract_fails_and_has_carried_it_out,
                a_caller_refuses_an_answer_that_breaks_its_contract,
                a_caller_without_types_refuses_it_too;
            catching_up: a_new_queue_begins_with_the_past_and_goes_on_with_what_comes,
                a_queue_that_is_there_goes_on_where_it_was,
                what_comes_while_the_past_is_handled_comes_after_it,
                a_bus_without_a_record_says_so;
            cloud_events: what_is_published_as_a_cloud_event_reaches_its_handler_whole,
                a_call_as_a_cloud_event_is_answered,
                cloud_events_of_strangers_are_understood,
                what_is_not_a_cloud_event_of_json_is_parked_with_the_reason,
                a_cloud_event_survives_retries_parking_and_redriving;
            commands: a_call_gets_the_result_of_its_handler,
                a_call_gets_the_error_of_its_handler_and_nothing_is_retried,
                a_call_that_is_not_answered_ends_at_its_deadline,
                an_answer_that_is_late_says_so,
                a_failed_call_whose_caller_is_gone_is_retried,
                a_call_without_a_worker_queue_is_unroutable,
                a_call_whose_handler_panics_is_told,
                calls_with_one_idempotency_key_run_the_handler_once_and_are_all_answered,
                a_command_without_a_worker_queue_is_unroutable_and_nothing_holds_it,
                a_command_that_was_accepted_is_copied_to_the_audit,
                a_command_that_was_only_sent_is_retried,
                workers_share_the_commands_and_each_is_handled_once;
            consuming: what_is_acknowledged_is_gone,
                what_is_not_settled_comes_again_when_the_inbox_is_dropped,
                what_is_requeued_comes_again_and_costs_no_attempt,
                settling_twice_is_stale,
                consumers_of_one_queue_share_its_messages,
                browsing_shows_everything_and_takes_nothing,
                a_temporary_queue_goes_with_its_consumer,
                an_ordered_queue_gives_everything_to_one_consumer_at_a_time;
            dead_letters: filters_choose_by_key_reason_age_and_id,
                what_is_redriven_is_handled_as_if_it_was_new_and_counts_its_redrives,
                redriving_keeps_to_its_rate,
                what_does_not_say_where_it_came_from_stays,
                purging_takes_only_what_the_filter_chooses;
            dedup: the_same_id_twice_is_handled_once,
                copies_of_what_is_being_handled_hold_up_nothing_else,
                what_is_published_again_with_its_id_is_handled_once,
                what_was_parked_is_not_remembered,
                each_queue_remembers_for_itself,
                without_memory_every_copy_is_handled;
            expiry: a_message_that_has_expired_is_parked_and_one_that_has_not_is_handled,
                a_command_that_has_expired_is_not_carried_out_and_its_caller_is_told,
                a_command_of_a_caller_who_is_gone_is_carried_out_unless_it_expires,
                an_unrouted_event_that_is_brought_back_does_not_expire,
                what_is_brought_back_or_replayed_does_not_expire;
            flow: as_many_handlers_run_at_a_time_as_were_asked_for,
                prefetch_bounds_what_is_under_way,
                a_shutdown_waits_for_the_handler_in_flight_and_leaves_the_rest,
                a_handler_that_is_not_done_at_the_deadline_is_given_up,
                a_closed_transport_takes_nothing_and_ends_its_consumers,
                a_subscriber_on_a_closed_transport_ends;
            handlers: an_upcast_handler_gets_both_versions_as_the_new_one,
                a_handler_of_anything_gets_what_no_other_takes,
                what_is_skipped_is_gone,
                handlers_take_the_queues_of_the_registry,
                bindings_without_a_handler_are_named_before_anything_is_declared,
                a_subscriber_without_handlers_or_with_a_bad_pattern_is_refused,
                what_travels_with_a_message_reaches_its_handler;
            order: what_fails_is_tried_again_before_the_next,
                what_keeps_failing_is_parked_and_the_next_goes_on,
                a_shutdown_between_attempts_leaves_the_message,
                each_key_keeps_its_order_over_two_subscribers,
                each_key_keeps_its_order_in_a_single_partition,
                keys_of_one_partition_are_handled_side_by_side,
                a_failing_key_waits_and_takes_no_handler_from_the_others,
                what_keeps_failing_is_parked_and_its_key_goes_on,
                events_without_a_key_keep_their_order,
                order_by_something_else_than_a_pointer_is_refused;
            parking: what_is_no_envelope_is_parked_as_it_came,
                what_travelled_under_another_key_is_parked,
                what_breaks_its_contract_is_parked,
                what_no_contract_knows_is_parked,
                a_handler_parks_what_is_of_no_use_to_try_again,
                a_handler_drops_what_is_of_no_use_at_all,
                an_inbox_parks_what_is_wrong_and_hands_out_the_rest;
            publishing: enqueued_events_keep_their_order,
                a_batch_keeps_its_order_and_names_what_was_refused,
                a_full_queue_of_events_refuses_nobody_and_drops_nothing,
                a_full_queue_of_commands_refuses_and_is_named,
                headers_and_bytes_are_forwarded_as_they_are;
            registered: the_retries_of_the_registry_are_obeyed,
                what_the_code_says_of_retries_counts_more,
                commands_are_retried_as_their_service_says,
                a_queue_has_the_room_that_the_registry_gives_it;
            replays: a_replay_that_nobody_hears_is_unroutable,
                queues_get_what_is_live_or_replayed_as_they_are_bound,
                a_replayed_event_is_handled_again_and_its_second_copy_is_not,
                a_subscriber_hears_no_replays_unless_it_says_so;
            retry: a_handler_that_fails_twice_is_called_three_times_with_the_delays_between,
                what_fails_at_every_attempt_is_parked_as_exhausted,
                a_panic_is_tried_again,
                others_are_handled_while_one_waits;
            routing: bindings_match_word_by_word,
                a_star_is_one_word,
                each_version_needs_its_own_binding,
                several_matching_bindings_give_one_copy,
                every_queue_gets_a_copy,
                an_event_that_nobody_wants_is_fine,
                what_is_told_to_listeners_is_not_recorded_again,
                what_is_told_to_nobody_is_unroutable_or_lies_with_the_unrouted;
            topology: declaring_twice_is_fine_and_adds_bindings,
                declaring_with_other_properties_is_a_conflict,
                a_dead_letter_queue_must_be_declared,
                a_queue_that_is_not_there_is_undeclared;
        }
    };
    (@each $make:expr; $($module:ident: $($name:ident),+;)+) => {$(
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    if let Some(transport) = ($make)().await {
                        $crate::suite::$module::$name(transport).await;
                    }
                }
            )+
        }
    )+};
}

#[cfg(test)]
mod tests {
    /// A test that is not on the list would never run.
    #[test]
    fn every_behaviour_is_on_the_list() {
        let list = include_str!("suite.rs");
        let modules = [
            ("answers", include_str!("suite/answers.rs")),
            ("beside", include_str!("suite/beside.rs")),
            ("cloud_events", include_str!("suite/cloud_events.rs")),
            ("commands", include_str!("suite/commands.rs")),
            ("consuming", include_str!("suite/consuming.rs")),
            ("dead_letters", include_str!("suite/dead_letters.rs")),
            ("dedup", include_str!("suite/dedup.rs")),
            ("expiry", include_str!("suite/expiry.rs")),
            ("flow", include_str!("suite/flow.rs")),
            ("handlers", include_str!("suite/handlers.rs")),
            ("order", include_str!("suite/order.rs")),
            ("parking", include_str!("suite/parking.rs")),
            ("publishing", include_str!("suite/publishing.rs")),
            ("registered", include_str!("suite/registered.rs")),
            ("replays", include_str!("suite/replays.rs")),
            ("retry", include_str!("suite/retry.rs")),
            ("routing", include_str!("suite/routing.rs")),
            ("topology", include_str!("suite/topology.rs")),
        ];
        for (module, source) in modules {
            for line in source.lines().filter_map(|line| line.strip_prefix("pub async fn ")) {
                let name = line.split('(').next().unwrap();
                assert!(list.contains(&format!(" {name}")), "{module}::{name}");
            }
        }
    }
}
