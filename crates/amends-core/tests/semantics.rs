//! What a saga does, sentence by sentence of the design: each test is one of its claims, told as a story.

mod run;
mod story;

use std::time::Duration;

use amends_core::{
    CallStep, CompensationSpec, Effect, Outcome, RetryPolicy, SagaDefinition, Status, StepIndex, StepKind,
    StepSpec,
};
use expect_test::expect;
use run::{Run, Scripted, completed};
use story::{check, definition, final_step, step, step_with_output};

// Order.

#[test]
fn steps_run_one_after_the_other_unless_told_otherwise() {
    check(
        definition(None, [step("a"), step("b")]),
        "a ok
         b ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            b ok: b completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn steps_of_a_graph_start_when_all_before_them_are_done() {
    check(
        definition(None, [step("a"), step("b").after([]), step("c").after(["a", "b"])]),
        "b ok
         a ok
         c ok",
        expect![[r#"
            start: saga started, a started, b started
            b ok: b completed
            a ok: a completed, c started
            c ok: c completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn independent_branches_are_undone_in_parallel_and_before_what_they_follow() {
    check(
        definition(
            None,
            [step("a"), step("b").after(["a"]), step("c").after(["a"]), step("d").after(["b", "c"])],
        ),
        "a ok
         b ok
         c ok
         d no
         undo c ok
         undo b ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started, c started
            b ok: b completed
            c ok: c completed, d started
            d no: d refused, turned back (d was refused), undo of c started, undo of b started
            undo c ok: undo of c completed
            undo b ok: undo of b completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn a_step_is_undone_once_everything_started_after_it_is_decided_and_undone() {
    check(
        definition(None, [step("a"), step("b").after(["a"]), step("c").after(["a"])]),
        "a ok
         b no
         c ok
         undo c ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started, c started
            b no: b refused, turned back (b was refused)
            c ok: c completed, undo of c started
            undo c ok: undo of c completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn the_way_back_is_walked_once_however_many_paths_lead_through_it() {
    // Sixty diamonds in a row: 180 steps, and two to the sixtieth paths.
    let diamond = |n: usize| {
        let first = match n.checked_sub(1) {
            None => step("a0").after([]),
            Some(before) => {
                step(&format!("a{n}")).after([format!("b{before}").as_str(), format!("c{before}").as_str()])
            }
        };
        let head = format!("a{n}");
        let side = |name: &str| step(&format!("{name}{n}")).after([head.as_str()]);
        [first, side("b"), side("c")]
    };
    let mut run = Run::start(definition(None, (0..60).flat_map(diamond).chain([step("end")])));
    let next = |run: &Run| run.saga.owed().next();
    while let Some(Effect::Call(call)) = next(&run) {
        let is_last = run.saga.definition().written(call.attempt.step()).name == "end";
        run.answer(call, if is_last { Outcome::refused("no", "not today") } else { completed() }, 1);
    }
    assert_eq!(run.saga.status(), Status::Compensated);
}

// What is undone.

#[test]
fn what_completed_is_undone_and_what_was_refused_is_not() {
    check(
        definition(None, [step("a"), step("b"), step("c")]),
        "a ok
         b no
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            b no: b refused, turned back (b was refused), undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn a_step_that_was_never_answered_for_certain_is_undone() {
    check(
        definition(None, [step("a"), step("b")]),
        "a ok
         b lost
         wake
         b lost
         undo b ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            b lost: b unknown #1
            wake: b asked #2
            b lost: b unknown #2, b given up (Exhausted), turned back (b was exhausted), undo of b started in doubt
            undo b ok: undo of b completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn a_refusal_after_an_unknown_attempt_leaves_the_step_in_doubt() {
    check(
        definition(None, [step("a")]),
        "a lost
         wake
         a no
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a lost: a unknown #1
            wake: a asked #2
            a no: a refused, turned back (a was refused), undo of a started in doubt
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn an_undo_that_needs_an_output_that_never_came_has_the_action_asked_for_it() {
    check(
        definition(None, [step_with_output("a")]),
        "a lost
         wake
         a lost
         a lost
         wake
         a ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a lost: a unknown #1
            wake: a asked #2
            a lost: a unknown #2, a given up (Exhausted), turned back (a was exhausted), output of a sought
            a lost: a unknown #3
            wake: a asked #4
            a ok: output of a found
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
    check(
        definition(None, [step_with_output("a")]),
        "a lost:hopeless
         a no",
        expect![[r#"
            start: saga started, a started
            a lost:hopeless: a unknown #1, a given up (Exhausted), turned back (a was exhausted), output of a sought
            a no: nothing to undo of a, saga compensated
            = compensated
        "#]],
    );
    check(
        definition(None, [step_with_output("a")]),
        "a lost:hopeless
         a lost
         wake
         a lost
         retry
         a ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a lost:hopeless: a unknown #1, a given up (Exhausted), turned back (a was exhausted), output of a sought
            a lost: a unknown #2
            wake: a asked #3
            a lost: a unknown #3, undo of a failed, saga parked (CompensationFailed)
            retry: saga retried by ann, a retried, output of a sought
            a ok: output of a found
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn an_output_is_sought_with_the_patience_of_the_undo() {
    let mut patient = step_with_output("a");
    if let StepKind::Call(CallStep { compensation: CompensationSpec::Call { call, .. }, .. }) =
        &mut patient.kind
    {
        call.retry.as_mut().expect("it was given one").attempts = Some(3);
    }
    check(
        definition(None, [patient]),
        "a lost:hopeless
         a lost
         wake
         a lost
         wake
         a lost",
        expect![[r#"
            start: saga started, a started
            a lost:hopeless: a unknown #1, a given up (Exhausted), turned back (a was exhausted), output of a sought
            a lost: a unknown #2
            wake: a asked #3
            a lost: a unknown #3
            wake: a asked #4
            a lost: a unknown #4, undo of a failed, saga parked (CompensationFailed)
            = failed
        "#]],
    );
}

#[test]
fn doubt_outlives_an_operators_retry() {
    check(
        definition(None, [step("a")]),
        "a conflict
         retry
         a no
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a conflict: a conflicted, saga parked (PayloadConflict(StepIndex(0)))
            retry: saga retried by ann, a retried, a asked #2
            a no: a refused, turned back (a was refused), undo of a started in doubt
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn nothing_is_undone_by_an_output_that_an_operator_made_up() {
    check(
        definition(None, [step_with_output("a"), step("b")]),
        "a conflict
         skip a
         b no
         a ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a conflict: a conflicted, saga parked (PayloadConflict(StepIndex(0)))
            skip a: a skipped by ann, b started
            b no: b refused, turned back (b was refused), output of a sought
            a ok: output of a found
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn an_undo_that_has_its_output_seeks_none() {
    check(
        definition(None, [step_with_output("a"), step("b")]),
        "a ok
         b no
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            b no: b refused, turned back (b was refused), undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

// Retry.

#[test]
fn a_call_that_failed_is_repeated_until_its_attempts_are_used_up() {
    check(
        definition(None, [step("a")]),
        "a lost
         wake
         a lost
         undo a lost
         wake
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a lost: a unknown #1
            wake: a asked #2
            a lost: a unknown #2, a given up (Exhausted), turned back (a was exhausted), undo of a started in doubt
            undo a lost: undo of a unknown #1
            wake: undo of a asked #2
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn a_code_that_is_not_retryable_ends_the_attempts_at_once() {
    check(
        definition(None, [step("a")]),
        "a lost:hopeless
         undo a lost:hopeless",
        expect![[r#"
            start: saga started, a started
            a lost:hopeless: a unknown #1, a given up (Exhausted), turned back (a was exhausted), undo of a started in doubt
            undo a lost:hopeless: undo of a unknown #1, undo of a failed, saga parked (CompensationFailed)
            = failed
        "#]],
    );
}

#[test]
fn attempts_are_counted_across_crashes() {
    check(
        definition(None, [step("a")]),
        "crash
         crash
         undo a ok",
        expect![[r#"
            start: saga started, a started
            crash: a unknown #1, a asked #2
            crash: a unknown #2, a given up (Exhausted), turned back (a was exhausted), undo of a started in doubt
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn an_answer_that_comes_twice_counts_once() {
    check(
        definition(None, [step("a"), step("b")]),
        "a lost
         a#1 lost
         wake
         a ok
         a#2 ok
         a#1 no
         b ok",
        expect![[r#"
            start: saga started, a started
            a lost: a unknown #1
            a#1 lost: -
            wake: a asked #2
            a ok: a completed, b started
            a#2 ok: -
            a#1 no: -
            b ok: b completed, saga completed
            = completed
        "#]],
    );
}

// Pivot.

#[test]
fn a_certain_refusal_of_the_pivot_turns_back() {
    check(
        definition(Some("p"), [step("a"), final_step("p")]),
        "a ok
         p no
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, p started
            p no: p refused, turned back (p was refused), undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn from_the_pivots_start_neither_limits_nor_cancel_turn_back() {
    check(
        definition(Some("p"), [step("a"), final_step("p")]),
        "a ok
         wait 120000
         cancel
         p ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, p started
            wait 120000: -
            cancel: cannot cancel while in_progress: its pivot has been sent, and there is no way back from there
            p ok: p completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn a_pivot_refused_after_an_unknown_attempt_parks() {
    check(
        definition(Some("p"), [step("a"), final_step("p")]),
        "a ok
         p lost
         wake
         p no
         cancel
         retry
         p ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, p started
            p lost: p unknown #1
            wake: p asked #2
            p no: p refused, saga parked (PivotInDoubt(StepIndex(1)))
            cancel: cannot cancel while failed: its pivot has been sent, and there is no way back from there
            retry: saga retried by ann, p retried, p asked #3
            p ok: p completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn a_pivot_that_runs_out_of_attempts_parks() {
    check(
        definition(Some("p"), [step("a"), step("p")]),
        "a ok
         p lost
         wake
         p lost
         cancel
         undo p ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, p started
            p lost: p unknown #1
            wake: p asked #2
            p lost: p unknown #2, p given up (Exhausted), saga parked (PivotExhausted(StepIndex(1)))
            cancel: cancel requested by ann, turned back (cancelled), undo of p started in doubt
            undo p ok: undo of p completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn after_the_pivot_unknown_is_asked_again_for_ever_and_a_refusal_parks_at_once() {
    check(
        definition(Some("p"), [final_step("p"), final_step("z")]),
        "p ok
         z lost
         wake
         z lost
         wake
         z lost:hopeless
         wake
         z no
         retry
         z ok",
        expect![[r#"
            start: saga started, p started
            p ok: p completed, z started
            z lost: z unknown #1
            wake: z asked #2
            z lost: z unknown #2
            wake: z asked #3
            z lost:hopeless: z unknown #3
            wake: z asked #4
            z no: z refused, saga parked (RefusedAfterPivot(StepIndex(1)))
            retry: saga retried by ann, z retried, z asked #5
            z ok: z completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn another_payload_under_the_same_key_parks() {
    check(
        definition(None, [step("a"), step("b")]),
        "a ok
         b conflict
         retry
         b conflict
         cancel
         undo b ok
         undo a conflict",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            b conflict: b conflicted, saga parked (PayloadConflict(StepIndex(1)))
            retry: saga retried by ann, b retried, b asked #2
            b conflict: b conflicted, saga parked (PayloadConflict(StepIndex(1)))
            cancel: cancel requested by ann, turned back (cancelled), undo of b started in doubt
            undo b ok: undo of b completed, undo of a started
            undo a conflict: undo of a failed, saga parked (CompensationFailed)
            = failed
        "#]],
    );
}

// Time.

#[test]
fn a_sagas_limit_turns_it_back_and_a_late_success_of_an_undecided_step_still_counts() {
    check(
        definition(None, [step("a").attempt_limit(Duration::from_secs(60))]),
        "wait 60000
         a ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            wait 60000: turned back (the saga timed out)
            a ok: a completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn a_steps_limit_leaves_room_for_the_rests_between_its_attempts() {
    let rests = RetryPolicy { attempts: Some(3), first: Duration::from_secs(20), ..RetryPolicy::action() };
    let definition = definition(None, [step("a").retry(rests)]);
    assert_eq!(definition.step(StepIndex(0)).calls().unwrap().limit, Duration::from_secs(3 * 2 + 20 + 30));
}

#[test]
fn a_steps_limit_turns_back_and_a_late_success_of_a_step_being_undone_does_not_count() {
    check(
        definition(None, [step("a")]),
        "wait 4100
         a#1 ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            wait 4100: a given up (TimedOut), turned back (a timed out), undo of a started in doubt
            a#1 ok: -
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn pending_is_waited_for_until_its_own_limit() {
    let patient = step("a").attempt_limit(Duration::from_secs(86_400));
    let mut spec = definition(None, [patient]).spec().clone();
    spec.limit = Duration::from_secs(86_400);
    check(
        SagaDefinition::from_spec(spec).unwrap(),
        "a working+1000
         wake
         a working
         a#2 lost
         wake
         a working
         wake
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a working+1000: a working #1
            wake: a asked #2
            a working: a working #2
            a#2 lost: a unknown #2
            wake: a asked #3
            a working: a working #3
            wake: a given up (WorkingTooLong), turned back (a timed out), undo of a started in doubt
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn the_limit_of_pending_counts_from_the_first_time() {
    let mut spec = definition(None, [step("a").attempt_limit(Duration::from_secs(86_400))]).spec().clone();
    spec.limit = Duration::from_secs(86_400);
    check(
        SagaDefinition::from_spec(spec).unwrap(),
        "a working+1800000
         wait 1800000
         a working+1800000
         wait 1799999
         wait 1
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a working+1800000: a working #1
            wait 1800000: a asked #2
            a working+1800000: a working #2
            wait 1799999: -
            wait 1: a given up (WorkingTooLong), turned back (a timed out), undo of a started in doubt
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn after_the_pivot_pending_is_waited_for_anew_each_time_its_limit_has_passed() {
    check(
        definition(Some("p"), [final_step("p"), final_step("z")]),
        "p ok
         z working
         wait 3600000
         z working
         wait 1000
         wait 3600000
         z ok",
        expect![[r#"
            start: saga started, p started
            p ok: p completed, z started
            z working: z working #1
            wait 3600000: z asked #2
            z working: z working #2
            wait 1000: -
            wait 3600000: z asked #3
            z ok: z completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn no_participant_can_ask_to_be_left_alone_for_ever() {
    check(
        definition(None, [step("a")]),
        "a lost:hopeless
         undo a lost+18446744073709551615
         wait 86400000
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a lost:hopeless: a unknown #1, a given up (Exhausted), turned back (a was exhausted), undo of a started in doubt
            undo a lost+18446744073709551615: undo of a unknown #1
            wait 86400000: undo of a asked #2
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn a_participant_that_is_pending_is_not_asked_again_at_once() {
    check(
        definition(None, [step("a")]),
        "a working+0
         wait 50
         wait 50
         a ok",
        expect![[r#"
            start: saga started, a started
            a working+0: a working #1
            wait 50: -
            wait 50: a asked #2
            a ok: a completed, saga completed
            = completed
        "#]],
    );
}

// Cancel.

#[test]
fn cancel_waits_for_the_answer_under_way_and_starts_no_further_attempt() {
    check(
        definition(None, [step("a"), step("b")]),
        "a ok
         cancel
         b ok
         undo b ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            cancel: cancel requested by ann, turned back (cancelled)
            b ok: b completed, undo of b started
            undo b ok: undo of b completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
    check(
        definition(None, [step("a")]),
        "cancel
         a lost
         undo a ok",
        expect![[r#"
            start: saga started, a started
            cancel: cancel requested by ann, turned back (cancelled)
            a lost: a unknown #1, a given up (TurnedBack), undo of a started in doubt
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn a_saga_that_turned_back_or_ended_is_not_cancelled() {
    check(
        definition(None, [step("a")]),
        "cancel
         cancel
         a no
         cancel",
        expect![[r#"
            start: saga started, a started
            cancel: cancel requested by ann, turned back (cancelled)
            cancel: cannot cancel while compensating: only a saga on its way forward is cancelled
            a no: a refused, saga compensated
            cancel: cannot cancel while compensated: only a saga on its way forward is cancelled
            = compensated
        "#]],
    );
}

// Compensation that fails.

#[test]
fn when_a_compensation_fails_the_others_still_run_and_then_the_saga_is_parked() {
    check(
        definition(None, [step("a"), step("b"), step("c")]),
        "a ok
         b ok
         c no
         undo b no
         undo a ok
         retry
         undo b ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            b ok: b completed, c started
            c no: c refused, turned back (c was refused), undo of b started
            undo b no: undo of b failed, undo of a started
            undo a ok: undo of a completed, saga parked (CompensationFailed)
            retry: saga retried by ann, b retried, undo of b started
            undo b ok: undo of b completed, saga compensated
            = compensated
        "#]],
    );
}

// Operator verbs.

#[test]
fn skip_supplies_the_output_and_what_was_sent_is_still_owed_its_undo() {
    check(
        definition(None, [step("a"), step("b")]),
        "a conflict
         skip a
         b no
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a conflict: a conflicted, saga parked (PayloadConflict(StepIndex(0)))
            skip a: a skipped by ann, b started
            b no: b refused, turned back (b was refused), undo of a started in doubt
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn a_step_skipped_before_it_was_sent_is_never_undone() {
    check(
        definition(None, [step("a"), step("b"), step("c")]),
        "skip b
         a ok
         c no
         undo a ok",
        expect![[r#"
            start: saga started, a started
            skip b: b skipped by ann
            a ok: a completed, c started
            c no: c refused, turned back (c was refused), undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn skipping_the_pivot_ahead_lets_nothing_after_it_start_before_all_before_it_is_done() {
    check(
        definition(Some("p"), [step("a"), final_step("p"), final_step("z")]),
        "skip p
         a no",
        expect![[r#"
            start: saga started, a started
            skip p: p skipped by ann
            a no: a refused, turned back (a was refused), saga compensated
            = compensated
        "#]],
    );
    check(
        definition(Some("p"), [step("a"), final_step("p"), final_step("z")]),
        "skip p
         cancel
         a ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            skip p: p skipped by ann
            cancel: cancel requested by ann, turned back (cancelled)
            a ok: a completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
    check(
        definition(Some("p"), [step("a"), final_step("p"), final_step("z")]),
        "skip p
         a ok
         cancel
         wait 60000
         z ok",
        expect![[r#"
            start: saga started, a started
            skip p: p skipped by ann
            a ok: a completed, z started
            cancel: cannot cancel while in_progress: its pivot has been sent, and there is no way back from there
            wait 60000: -
            z ok: z completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn helping_one_of_several_stuck_steps_leaves_the_saga_to_the_others() {
    let branches = || definition(None, [step("a").after([]), step("b").after([]), step("c").after(["a"])]);
    check(
        branches(),
        "a conflict
         b conflict
         skip a
         skip b
         c ok",
        expect![[r#"
            start: saga started, a started, b started
            a conflict: a conflicted, saga parked (PayloadConflict(StepIndex(0)))
            b conflict: b conflicted
            skip a: a skipped by ann, saga parked (PayloadConflict(StepIndex(1)))
            skip b: b skipped by ann, c started
            c ok: c completed, saga completed
            = completed
        "#]],
    );
    check(
        branches(),
        "a conflict
         b no
         skip a
         undo a ok",
        expect![[r#"
            start: saga started, a started, b started
            a conflict: a conflicted, saga parked (PayloadConflict(StepIndex(0)))
            b no: b refused
            skip a: a skipped by ann, turned back (b was refused), undo of a started in doubt
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
    check(
        definition(Some("p"), [final_step("p"), final_step("z")]),
        "p lost:hopeless
         skip z
         retry
         p ok",
        expect![[r#"
            start: saga started, p started
            p lost:hopeless: p unknown #1, p given up (Exhausted), saga parked (PivotExhausted(StepIndex(0)))
            skip z: z skipped by ann, saga parked (PivotExhausted(StepIndex(0)))
            retry: saga retried by ann, p retried, p asked #2
            p ok: p completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn limits_stand_still_while_a_saga_is_parked() {
    check(
        definition(None, [step("a").after([]), step("b").after([]), step("c")]),
        "b working
         a conflict
         wait 7200000
         retry
         a ok
         b ok
         wait 1000
         c ok",
        expect![[r#"
            start: saga started, a started, b started
            b working: b working #1
            a conflict: a conflicted, saga parked (PayloadConflict(StepIndex(0)))
            wait 7200000: -
            retry: saga retried by ann, a retried, a asked #2
            a ok: a completed
            b ok: b completed, c started
            wait 1000: -
            c ok: c completed, saga completed
            = completed
        "#]],
    );
    check(
        definition(None, [step("a"), step("b")]),
        "wait 1000
         pause
         a conflict
         wait 7200000
         resume
         wait 7200000
         skip a
         wait 3000
         b ok",
        expect![[r#"
            start: saga started, a started
            wait 1000: -
            pause: saga paused by ann
            a conflict: a conflicted, saga parked (PayloadConflict(StepIndex(0)))
            wait 7200000: -
            resume: saga resumed by ann
            wait 7200000: -
            skip a: a skipped by ann, b started
            wait 3000: -
            b ok: b completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn resolve_marks_a_compensation_as_done_by_hand() {
    check(
        definition(None, [step("a"), step("b")]),
        "a ok
         b no
         resolve a
         undo a no
         resolve a",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            b no: b refused, turned back (b was refused), undo of a started
            resolve a: cannot resolve while compensating: only a compensation that failed is resolved
            undo a no: undo of a failed, saga parked (CompensationFailed)
            resolve a: undo of a resolved by ann, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn a_paused_saga_records_answers_and_sends_nothing_while_its_limits_stand_still() {
    check(
        definition(None, [step("a"), step("b")]),
        "pause
         a ok
         pause
         wait 3600000
         resume
         b ok
         resume",
        expect![[r#"
            start: saga started, a started
            pause: saga paused by ann
            a ok: a completed
            pause: cannot pause while in_progress: only a saga that is on its way is paused
            wait 3600000: -
            resume: saga resumed by ann, b started
            b ok: b completed, saga completed
            resume: cannot resume while completed: it is not paused
            = completed
        "#]],
    );
}

#[test]
fn reverse_undoes_a_completed_saga_the_pivot_included() {
    check(
        definition(Some("p"), [step("a"), step("p"), final_step("z")]),
        "a ok
         reverse
         p ok
         z ok
         reverse
         undo p ok
         undo a ok
         reverse",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, p started
            reverse: cannot reverse while in_progress: only a completed saga is reversed
            p ok: p completed, z started
            z ok: z completed, saga completed
            reverse: saga reversed by ann, turned back (reversed), undo of p started
            undo p ok: undo of p completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            reverse: cannot reverse while compensated: only a completed saga is reversed
            = compensated
        "#]],
    );
}

#[test]
fn abandon_stops_without_undo() {
    check(
        definition(None, [step("a"), step("b")]),
        "a ok
         abandon
         b#1 ok
         abandon",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            abandon: saga abandoned by ann
            b#1 ok: -
            abandon: cannot abandon while abandoned: it has ended
            = abandoned
        "#]],
    );
}

#[test]
fn retry_asks_a_resting_call_at_once_and_needs_one() {
    check(
        definition(None, [step("a")]),
        "retry
         a lost
         retry
         a ok
         retry",
        expect![[r#"
            start: saga started, a started
            retry: cannot retry while in_progress: nothing in it waits to be asked again
            a lost: a unknown #1
            retry: saga retried by ann, a retried, a asked #2
            a ok: a completed, saga completed
            retry: cannot retry while completed: nothing in it waits to be asked again
            = completed
        "#]],
    );
}

// Sleeping.

fn nap(name: &str, milliseconds: u64) -> StepSpec {
    StepSpec::sleep(name, Duration::from_millis(milliseconds))
}

fn approval(name: &str) -> StepSpec {
    StepSpec::wait(name, "approved", Duration::from_secs(10))
}

#[test]
fn a_sleep_lets_time_pass_and_nothing_else() {
    check(
        definition(None, [step("a"), nap("nap", 5_000), step("b")]),
        "a ok
         wait 4999
         crash
         wait 1
         b ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, nap started
            wait 4999: -
            crash: -
            wait 1: nap slept, b started
            b ok: b completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn sleeps_of_no_length_follow_each_other_in_one_decision() {
    check(
        definition(None, [nap("x", 0), nap("y", 0), step("a")]),
        "a ok",
        expect![[r#"
        start: saga started, x started, x slept, y started, y slept, a started
        a ok: a completed, saga completed
        = completed
    "#]],
    );
    check(
        definition(None, [nap("x", 0)]),
        "",
        expect![[r#"
        start: saga started, x started, x slept, saga completed
        = completed
    "#]],
    );
}

#[test]
fn a_pause_does_not_hold_up_a_sleep() {
    check(
        definition(None, [nap("nap", 5_000), step("a")]),
        "pause
         wait 6000
         resume
         a ok",
        expect![[r#"
            start: saga started, nap started
            pause: saga paused by ann
            wait 6000: -
            resume: saga resumed by ann, nap slept, a started
            a ok: a completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn a_saga_that_turns_back_sleeps_and_waits_no_more() {
    check(
        definition(None, [step("a"), nap("nap", 5_000).after(["a"]), approval("ok").after(["a"])]),
        "a ok
         cancel
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, nap started, ok started
            cancel: cancel requested by ann, turned back (cancelled), nap given up (TurnedBack), ok given up (TurnedBack), undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
    check(
        definition(None, [step("a"), nap("nap", 59_000), step("b")]),
        "a ok\n wait 59000\n wait 1000\n b lost\n undo b ok\n undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, nap started
            wait 59000: nap slept, b started
            wait 1000: turned back (the saga timed out)
            b lost: b unknown #1, b given up (TurnedBack), undo of b started in doubt
            undo b ok: undo of b completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

// Waiting.

#[test]
fn a_wait_takes_the_signal_as_its_output() {
    check(
        definition(None, [step("a"), approval("ok"), step("b")]),
        "a ok
         crash
         signal approved
         b ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, ok started
            crash: -
            signal approved: signal approved received, ok took its signal, b started
            b ok: b completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn a_signal_that_comes_before_its_wait_is_kept_and_taken_once() {
    check(
        definition(None, [step("a"), approval("first"), step("b"), approval("second")]),
        "signal approved 1
         crash
         signal approved 1
         signal approved 1 other
         a ok
         signal approved 1
         b ok
         signal approved 2
         signal approved 2
         signal approved 3",
        expect![[r#"
            start: saga started, a started
            signal approved 1: signal approved received
            crash: a unknown #1, a asked #2
            signal approved 1: -
            signal approved 1 other: the key "1" was used before, for a signal "approved" with another body: use a new one
            a ok: a completed, first started, first took its signal, b started
            signal approved 1: -
            b ok: b completed, second started
            signal approved 2: signal approved received, second took its signal, saga completed
            signal approved 2: -
            signal approved 3: no signals are taken while completed: it will wait for none
            = completed
        "#]],
    );
}

#[test]
fn signals_of_one_name_are_taken_in_the_order_they_came() {
    let mut run = Run::start(definition(None, [step("a"), approval("first"), approval("second")]));
    for (key, body) in [("1", b"1"), ("2", b"2")] {
        run.signal("approved", key, body).unwrap();
    }
    let call = *run.under_way.values().next().unwrap();
    run.answer(call, completed(), 1);
    assert_eq!(run.saga.status(), Status::Completed);
    assert_eq!(run.saga.output(StepIndex(1)).unwrap(), "1");
    assert_eq!(run.saga.output(StepIndex(2)).unwrap(), "2");
}

#[test]
fn a_wait_in_vain_turns_back_or_goes_on() {
    check(
        definition(None, [step("a"), approval("ok")]),
        "a ok\n wait 10000\n undo a ok",
        expect![[r#"
        start: saga started, a started
        a ok: a completed, ok started
        wait 10000: ok timed out, turned back (ok timed out), undo of a started
        undo a ok: undo of a completed, saga compensated
        = compensated
    "#]],
    );
    check(
        definition(None, [step("a"), approval("ok").or_go_on(), step("b")]),
        "a ok\n wait 10000\n b ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, ok started
            wait 10000: ok timed out, b started
            b ok: b completed, saga completed
            = completed
        "#]],
    );
    check(
        definition(Some("p"), [final_step("p"), approval("ok").or_go_on()]),
        "p ok
         wait 10000",
        expect![[r#"
            start: saga started, p started
            p ok: p completed, ok started
            wait 10000: ok timed out, saga completed
            = completed
        "#]],
    );
}

#[test]
fn what_is_signalled_in_the_moment_of_the_limit_came_in_time() {
    check(
        definition(None, [approval("ok"), step("a")]),
        "pause
         wait 9999
         signal approved
         wait 5000
         resume
         a ok",
        expect![[r#"
            start: saga started, ok started
            pause: saga paused by ann
            wait 9999: -
            signal approved: signal approved received
            wait 5000: -
            resume: saga resumed by ann, ok took its signal, a started
            a ok: a completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn a_waits_limit_stands_still_while_paused_and_while_parked() {
    check(
        definition(None, [approval("ok"), step("a")]),
        "wait 5000
         pause
         wait 60000
         resume
         wait 4999
         wait 1",
        expect![[r#"
            start: saga started, ok started
            wait 5000: -
            pause: saga paused by ann
            wait 60000: -
            resume: saga resumed by ann
            wait 4999: -
            wait 1: ok timed out, turned back (ok timed out), saga compensated
            = compensated
        "#]],
    );
    check(
        definition(None, [approval("ok").after([]), step("a").after([])]),
        "a conflict
         wait 60000
         signal approved
         skip a",
        expect![[r#"
            start: saga started, ok started, a started
            a conflict: a conflicted, saga parked (PayloadConflict(StepIndex(1)))
            wait 60000: -
            signal approved: signal approved received
            skip a: a skipped by ann, ok took its signal, saga completed
            = completed
        "#]],
    );
}

#[test]
fn a_signal_that_nothing_waits_for_is_rejected() {
    check(
        definition(None, [step("a"), approval("ok")]),
        "signal aproved
         cancel
         signal approved
         a no",
        expect![[r#"
            start: saga started, a started
            signal aproved: no step waits for the signal "aproved"; its steps wait for approved
            cancel: cancel requested by ann, turned back (cancelled)
            signal approved: no signals are taken while compensating: it will wait for none
            a no: a refused, saga compensated
            = compensated
        "#]],
    );
    check(
        definition(None, [step("a")]),
        "signal approved",
        expect![[r#"
        start: saga started, a started
        signal approved: no step waits for the signal "approved": its definition has no step that waits
        = in_progress
    "#]],
    );
}

#[test]
fn no_more_signals_are_kept_than_there_is_room_for() {
    let waits = (0..101).map(|at| approval(&format!("ok{at}")));
    let mut run = Run::start(definition(None, [step("a")].into_iter().chain(waits)));
    for key in 0..100 {
        run.signal("approved", &key.to_string(), b"true").unwrap();
    }
    let rejected = run.signal("approved", "100", b"true").unwrap_err();
    expect!["100 signals are kept already and wait for their steps: send this one later"]
        .assert_eq(&rejected.to_string());
    run.sizes.payload_bytes_max = 3;
    let call = *run.under_way.values().next().unwrap();
    run.answer(call, Outcome::Completed { output: "1".into() }, 1);
    assert!(run.saga.kept_signals().is_empty(), "each was taken by a step of its own");
    assert!(!run.signal("approved", "7", b"true").unwrap(), "a repeat changes nothing, however late");
}

#[test]
fn an_operator_may_skip_a_sleep_or_a_wait() {
    check(
        definition(None, [nap("nap", 50_000), approval("ok"), step("a")]),
        "skip nap
         skip ok
         a no",
        expect![[r#"
            start: saga started, nap started
            skip nap: nap skipped by ann, ok started
            skip ok: ok skipped by ann, a started
            a no: a refused, turned back (a was refused), saga compensated
            = compensated
        "#]],
    );
}

// What is too large, and what cannot be made.

#[test]
fn an_output_that_is_too_large_parks_and_its_effect_stands() {
    check(
        definition(None, [step("a"), step("b")]),
        "a ok
         big 5
         b ok
         retry
         b ok
         cancel
         undo b ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            big 5: -
            b ok: output of b too large (11 > 5), saga parked (OutputTooLarge { step: StepIndex(1), bytes: 11, limit: 5 })
            retry: saga retried by ann, b retried, b asked #2
            b ok: output of b too large (11 > 5), saga parked (OutputTooLarge { step: StepIndex(1), bytes: 11, limit: 5 })
            cancel: cancel requested by ann, turned back (cancelled), undo of b started
            undo b ok: undo of b completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
    check(
        definition(None, [step("a"), step("b")]),
        "big 5\n a ok\n skip a\n b no\n undo a ok",
        expect![[r#"
        start: saga started, a started
        big 5: -
        a ok: output of a too large (11 > 5), saga parked (OutputTooLarge { step: StepIndex(0), bytes: 11, limit: 5 })
        skip a: a skipped by ann, b started
        b no: b refused, turned back (b was refused), undo of a started
        undo a ok: undo of a completed, saga compensated
        = compensated
    "#]],
    );
}

#[test]
fn a_late_output_that_is_too_large_is_undone_for_certain() {
    check(
        definition(None, [step("a").after([]), step("b").after([])]),
        "big 5
         b no
         a ok
         undo a ok",
        expect![[r#"
            start: saga started, a started, b started
            big 5: -
            b no: b refused, turned back (b was refused)
            a ok: output of a too large (11 > 5), undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn an_output_that_is_sought_and_too_large_leaves_the_undo_to_an_operator() {
    check(
        definition(None, [step_with_output("a")]),
        "a lost:hopeless
         big 5
         a ok
         resolve a",
        expect![[r#"
            start: saga started, a started
            a lost:hopeless: a unknown #1, a given up (Exhausted), turned back (a was exhausted), output of a sought
            big 5: -
            a ok: output of a too large (11 > 5), undo of a failed, saga parked (CompensationFailed)
            resolve a: undo of a resolved by ann, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn a_saga_that_has_grown_too_large_parks_and_its_verbs_work() {
    check(
        definition(None, [step("a"), step("b")]),
        "room 700
         a ok
         b working+100
         wake
         b working+100
         wake
         b working+100
         retry
         b lost
         cancel
         undo b ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            room 700: -
            a ok: a completed, b started
            b working+100: b working #1
            wake: b asked #2
            b working+100: b working #2
            wake: b asked #3
            b working+100: b working #3, saga parked (SagaTooLarge { bytes: 882, limit: 700 })
            retry: saga retried by ann, b retried, b asked #4
            b lost: b unknown #4, saga parked (SagaTooLarge { bytes: 1390, limit: 700 })
            cancel: cancel requested by ann, turned back (cancelled), b given up (TurnedBack), undo of b started in doubt
            undo b ok: undo of b completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn a_payload_that_cannot_be_made_sends_nothing() {
    check(
        definition(None, [step("a"), step("b")]),
        "a ok\n unmade b\n undo a ok",
        expect![[r#"
        start: saga started, a started
        a ok: a completed, b started
        unmade b: b unmade, turned back (b was unmade), undo of a started
        undo a ok: undo of a completed, saga compensated
        = compensated
    "#]],
    );
    check(
        definition(None, [step("a"), step("b")]),
        "a ok\n b no\n unmade undo a\n retry\n undo a ok",
        expect![[r#"
        start: saga started, a started
        a ok: a completed, b started
        b no: b refused, turned back (b was refused), undo of a started
        unmade undo a: undo of a failed, saga parked (CompensationFailed)
        retry: saga retried by ann, a retried, undo of a started
        undo a ok: undo of a completed, saga compensated
        = compensated
    "#]],
    );
    check(
        definition(Some("p"), [step("a"), final_step("p")]),
        "a ok\n unmade p\n undo a ok",
        expect![[r#"
        start: saga started, a started
        a ok: a completed, p started
        unmade p: p unmade, turned back (p was unmade), undo of a started
        undo a ok: undo of a completed, saga compensated
        = compensated
    "#]],
    );
    check(
        definition(Some("p"), [final_step("p"), final_step("z")]),
        "p ok
         unmade z
         retry
         z ok",
        expect![[r#"
            start: saga started, p started
            p ok: p completed, z started
            unmade z: z unmade, saga parked (Unmade(StepIndex(1)))
            retry: saga retried by ann, z retried, z asked #2
            z ok: z completed, saga completed
            = completed
        "#]],
    );
    check(
        definition(None, [step("a")]),
        "a lost\n wake\n unmade a\n undo a ok",
        expect![[r#"
        start: saga started, a started
        a lost: a unknown #1
        wake: a asked #2
        unmade a: a unmade, turned back (a was unmade), undo of a started in doubt
        undo a ok: undo of a completed, saga compensated
        = compensated
    "#]],
    );
}

// Clocks.

#[test]
fn a_clock_that_was_set_back_makes_no_rest_longer() {
    check(
        definition(None, [step("a")]),
        "a lost
         back 3600000
         crash
         wait 100
         a ok",
        expect![[r#"
            start: saga started, a started
            a lost: a unknown #1
            back 3600000: -
            crash: clock set back by 1000s
            wait 100: a asked #2
            a ok: a completed, saga completed
            = completed
        "#]],
    );
    check(
        definition(None, [nap("nap", 5_000), approval("ok")]),
        "wait 2000
         pause
         back 3600000
         resume
         wait 2999
         wait 1
         wait 10000",
        expect![[r#"
            start: saga started, nap started
            wait 2000: -
            pause: saga paused by ann
            back 3600000: -
            resume: clock set back by 1002s, saga resumed by ann
            wait 2999: -
            wait 1: nap slept, ok started
            wait 10000: ok timed out, turned back (ok timed out), saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn a_participant_that_works_is_asked_ever_more_rarely() {
    let mut run = Run::start(definition(None, [step("a").attempt_limit(Duration::from_secs(3_600))]));
    let mut asked = 0;
    while run.saga.turned_back().is_none() {
        let call = *run.under_way.values().next().expect("it is asked");
        run.answer(call, Outcome::Working { ask_again_after: Some(Duration::ZERO) }, 1);
        run.now = run.now.max(run.saga.wake_at());
        run.give(amends_core::Command::Wake, 1).unwrap();
        asked += 1;
    }
    // Every 100 ms it would be 600 times until the saga's limit of a minute.
    assert!((100..130).contains(&asked), "{asked}");
}

// What a reviewer found.

#[test]
fn what_took_effect_for_certain_is_never_taken_for_undone() {
    check(
        definition(None, [step_with_output("a")]),
        "big 5
         a ok
         cancel
         a no
         resolve a",
        expect![[r#"
            start: saga started, a started
            big 5: -
            a ok: output of a too large (11 > 5), saga parked (OutputTooLarge { step: StepIndex(0), bytes: 11, limit: 5 })
            cancel: cancel requested by ann, turned back (cancelled), output of a sought
            a no: undo of a failed, saga parked (CompensationFailed)
            resolve a: undo of a resolved by ann, saga compensated
            = compensated
        "#]],
    );
    check(
        definition(None, [step_with_output("a")]),
        "a lost:hopeless
         big 5
         a ok
         retry
         a no",
        expect![[r#"
            start: saga started, a started
            a lost:hopeless: a unknown #1, a given up (Exhausted), turned back (a was exhausted), output of a sought
            big 5: -
            a ok: output of a too large (11 > 5), undo of a failed, saga parked (CompensationFailed)
            retry: saga retried by ann, a retried, output of a sought
            a no: undo of a failed, saga parked (CompensationFailed)
            = failed
        "#]],
    );
}

#[test]
fn what_an_operator_supplied_is_seen_by_every_attempt_of_every_undo() {
    let mut run = Run::start(definition(None, [step("a"), step("b"), step("c")]));
    let answer = |run: &mut Run, outcome| {
        let call = *run.under_way.values().next().expect("something is asked");
        run.answer(call, outcome, 1);
        call
    };
    answer(&mut run, Outcome::Conflict { message: "another payload".to_owned() });
    let output = bytes::Bytes::from_static(b"{\"id\":7}");
    run.operate(amends_core::Verb::Skip { step: StepIndex(0).into(), output: output.clone() }).unwrap();
    answer(&mut run, completed());
    answer(&mut run, Outcome::refused("no", "not today"));
    let seen = |run: &Run, call| run.saga.with_scope(call, |scope| scope.output_of("a").cloned());
    let undo = answer(&mut run, Outcome::refused("no", "cannot be undone")).attempt.call;
    assert_eq!(undo.step, StepIndex(1));
    assert_eq!(seen(&run, undo), Some(output.clone()));
    answer(&mut run, completed());
    run.operate(amends_core::Verb::RETRY).unwrap();
    assert_eq!(seen(&run, undo), Some(output), "whatever has become of a meanwhile");
}

#[test]
fn a_signal_that_no_step_will_take_is_rejected_and_starves_no_other() {
    let wait = |name: &str, signal: &str| StepSpec::wait(name, signal, Duration::from_secs(10));
    check(
        definition(None, [wait("x", "ping"), wait("y", "approve").or_go_on(), step("a")]),
        "signal ping 1
         signal ping 2
         signal ping 1
         wait 10000
         signal approve
         a ok",
        expect![[r#"
            start: saga started, x started
            signal ping 1: signal ping received, x took its signal, y started
            signal ping 2: no step will wait for another signal "ping": each has one already, or is past
            signal ping 1: -
            wait 10000: y timed out, a started
            signal approve: no step will wait for another signal "approve": each has one already, or is past
            a ok: a completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn why_a_saga_turned_back_is_not_forgotten_on_the_way_back() {
    let mut run = Run::start(definition(None, [step_with_output("a")]));
    let answer = |run: &mut Run, outcome| {
        let call = *run.under_way.values().next().expect("something is asked");
        run.answer(call, outcome, 1);
    };
    answer(&mut run, Outcome::unknown("reset", "connection reset"));
    run.now = run.now.max(run.saga.wake_at());
    run.give(amends_core::Command::Wake, 1).unwrap();
    answer(&mut run, Outcome::refused("card_declined", "no money"));
    run.crash();
    assert_eq!(run.saga.failure().unwrap().1.code, "card_declined");
}

#[test]
fn a_verb_repeated_with_its_key_acts_once_also_after_a_crash() {
    let mut run = Run::start(definition(None, [step("a")]));
    let pause = |run: &mut Run, mark| run.operate_keyed(amends_core::Verb::Pause, "k1", mark);
    assert_eq!(pause(&mut run, 1), Ok(true));
    assert_eq!(pause(&mut run, 1), Ok(false));
    run.crash();
    assert_eq!(run.operate_keyed(amends_core::Verb::Resume, "k2", 2), Ok(true));
    assert_eq!(pause(&mut run, 1), Ok(false), "what it did is not done again");
    assert!(!run.saga.is_paused());
    let reused = amends_core::Rejected::VerbKeyReused { key: "k1".to_owned() };
    assert_eq!(pause(&mut run, 3), Err(reused));
}

#[test]
fn a_verb_decided_by_a_state_that_is_no_more_changes_nothing() {
    let mut run = Run::start(definition(None, [step("a")]));
    let is = run.saga.sequence();
    assert_eq!(is, run.events().count() as u64, "it counts facts");
    let pause = |run: &mut Run, expected| {
        let by = amends_core::By::new("ann", "test");
        let verb = amends_core::Verb::Pause;
        run.give(amends_core::Command::Operate { verb, by, expected: Some(expected) }, 3)
    };
    assert_eq!(pause(&mut run, is - 1), Err(amends_core::Rejected::Stale { expected: is - 1, is }));
    assert_eq!(pause(&mut run, is), Ok(true));
}

// Guards.

#[test]
fn a_step_whose_guard_says_no_is_passed_over_and_what_follows_goes_on_in_the_same_decision() {
    let steps = [step("a"), step("b").guarded(), step("c"), step("d").guarded()];
    let expressions = Scripted::default().guard("b", Ok(false)).guard("d", Ok(true));
    check(
        expressions.for_definition(definition(None, steps)),
        "a ok
         c ok
         d no
         undo c ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b passed over, c started
            c ok: c completed, d started
            d no: d refused, turned back (d was refused), undo of c started
            undo c ok: undo of c completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn a_saga_whose_steps_are_all_passed_over_completes_as_it_starts() {
    let expressions = Scripted::default().guard("a", Ok(false)).returns(Ok("[1]"));
    check(
        expressions.for_definition(definition(None, [step("a").guarded()])),
        "",
        expect![[r#"
        start: saga started, a passed over, saga completed with [1]
        = completed
    "#]],
    );
}

#[test]
fn a_guard_that_fails_is_never_false() {
    let expressions = || Scripted::default().guard("b", Err("no such field"));
    check(
        expressions().for_definition(definition(None, [step("a"), step("b").guarded()])),
        "a ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b unjudged (no such field), turned back (b was unmade), undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
    check(
        expressions().for_definition(definition(None, [step("b").guarded()])),
        "",
        expect![[r#"
        start: saga started, b unjudged (no such field), turned back (b was unmade), saga compensated
        = compensated
    "#]],
    );
    let steps = [final_step("a"), final_step("b").guarded(), final_step("c")];
    check(
        expressions().for_definition(definition(Some("a"), steps)),
        "a ok
         retry
         retry b {}
         skip b
         c ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b unjudged (no such field), saga parked (Unmade(StepIndex(1)))
            retry: saga retried by ann, b retried, b unjudged (no such field), saga parked (Unmade(StepIndex(1)))
            retry b {}: cannot retry while failed: its `when` or its list failed, not its payload: retry without one
            skip b: b skipped by ann, c started
            c ok: c completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn what_a_saga_returns_stands_with_its_completion() {
    let one = || definition(None, [step("a")]);
    check(
        Scripted::default().returns(Ok("[1]")).for_definition(one()),
        "a ok",
        expect![[r#"
        start: saga started, a started
        a ok: a completed, saga completed with [1]
        = completed
    "#]],
    );
    check(
        Scripted::default().returns(Err("no such field")).for_definition(one()),
        "a ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, output unmade (expression_failed), turned back (the output was unmade), undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
    check(
        Scripted::default()
            .returns(Err("no such field"))
            .for_definition(definition(Some("a"), [final_step("a")])),
        "a ok
         retry
         abandon",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, output unmade (expression_failed), saga parked (OutputUnmade)
            retry: saga retried by ann, output unmade (expression_failed), saga parked (OutputUnmade)
            abandon: saga abandoned by ann
            = abandoned
        "#]],
    );
}

// Read-only steps, and signals that refuse.

#[test]
fn a_step_that_changes_nothing_is_never_undone_also_when_in_doubt() {
    let read = |name| StepSpec::new(name, "participant", name).read_only();
    check(
        definition(None, [read("a"), step("b"), read("c").after(["a"])]),
        "a ok
         c lost
         b no",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started, c started
            c lost: c unknown #1
            b no: b refused, turned back (b was refused), c given up (TurnedBack), saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn a_signal_that_refuses_turns_the_saga_back_with_its_code_and_detail() {
    let asked = |name| {
        let mut step = approval(name);
        if let StepKind::Wait(wait) = &mut step.kind {
            wait.refused_by = Some("rejected".to_owned());
        }
        step
    };
    let story = r#"a ok
         signal rejected 1 because {"code":"too_much","detail":"ask_again"}
         signal go 2
         undo a ok"#;
    check(
        definition(None, [step("a"), asked("ok"), step("b")]),
        story,
        expect![[r#"
        start: saga started, a started
        a ok: a completed, ok started
        signal rejected 1 because {"code":"too_much","detail":"ask_again"}: signal rejected received, ok refused by signal (too_much: ask_again), turned back (ok was refused), undo of a started
        signal go 2: no step waits for the signal "go"; its steps wait for approved, rejected
        undo a ok: undo of a completed, saga compensated
        = compensated
    "#]],
    );
    check(
        definition(None, [step("a"), asked("ok"), step("b")]),
        "signal rejected 1
         signal approved 2
         a ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            signal rejected 1: signal rejected received
            signal approved 2: signal approved received
            a ok: a completed, ok started, ok refused by signal (rejected: ), turned back (ok was refused), undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

// Limits.

#[test]
fn a_rest_that_a_participant_asks_for_does_not_count_against_the_steps_limit() {
    let limited = |name| {
        let mut step = step(name).retry(RetryPolicy { attempts: Some(9), ..RetryPolicy::action() });
        if let StepKind::Call(call) = &mut step.kind {
            call.limit = Some(Duration::from_secs(3));
        }
        step
    };
    check(
        definition(None, [limited("a")]),
        "a lost+5000
         wait 5000
         wait 2900
         wait 200
         a ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a lost+5000: limit of a extended by 5s, a unknown #1
            wait 5000: a asked #2
            wait 2900: -
            wait 200: a given up (TimedOut), turned back (a timed out), undo of a started in doubt
            a ok: -
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn from_a_202_on_the_wait_for_the_participant_has_a_limit_of_its_own() {
    let mut slow = step("a");
    if let StepKind::Call(call) = &mut slow.kind {
        call.limit = Some(Duration::from_secs(1));
        call.action.pending = Some(Duration::from_secs(20));
    }
    check(
        definition(None, [slow]),
        "a working
         wait 19999
         wait 1
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a working: a working #1
            wait 19999: -
            wait 1: a given up (WorkingTooLong), turned back (a timed out), undo of a started in doubt
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

// Corrected payloads.

#[test]
fn a_step_refused_with_a_code_is_asked_anew_with_another_payload_under_a_key_of_its_own() {
    let mut run = Run::start(definition(Some("a"), [step("a"), final_step("b")]));
    let call = |run: &Run| {
        let Some(Effect::Call(call)) = run.saga.owed().next() else { panic!("a call is owed") };
        call
    };
    let first = call(&run);
    run.answer(first, completed(), 1);
    let first = call(&run);
    run.answer(first, Outcome::refused("bad_address", "no such street"), 1);
    assert_eq!(run.saga.status(), Status::Parked);
    let step = Some(StepIndex(1).into());
    let payload = Some(bytes::Bytes::from_static(b"[2]"));
    run.operate(amends_core::Verb::Retry { step, payload }).unwrap();
    let corrected = call(&run);
    assert_eq!((corrected.attempt.call.round, first.attempt.call.round), (2, 1));
    let body = run.saga.with_scope(corrected.attempt.call, |scope| scope.corrected.cloned());
    assert_eq!(body.as_deref(), Some(&b"[2]"[..]));
    run.crash();
    assert_eq!(run.replayed(), run.saga);
    run.give(amends_core::Command::Wake, 1).unwrap();
    let later = call(&run);
    assert_eq!(later.attempt.call, corrected.attempt.call, "later attempts keep it");
    assert!(!run.answer(first, completed(), 1), "what the first round says late changes nothing");
    run.answer(later, completed(), 1);
    assert_eq!(run.saga.status(), Status::Completed);
    run.operate(amends_core::Verb::Reverse).unwrap();
    assert_eq!(call(&run).attempt.call.round, 1, "the pivot's own undo is of its first round");
}

#[test]
fn only_what_was_refused_for_certain_by_a_code_takes_another_payload() {
    let plan = || definition(Some("a"), [final_step("a"), final_step("b")]);
    check(
        plan(),
        "a ok
         b no:http_422
         retry b {}
         retry b",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            b no:http_422: b refused, saga parked (RefusedAfterPivot(StepIndex(1)))
            retry b {}: it was not refused with a code: the participant may have failed rather than judged the payload, so another one may come second; retry without a payload
            retry b: saga retried by ann, b retried, b asked #2
            = in_progress
        "#]],
    );
    check(
        plan(),
        "a ok
         b lost
         wake
         b no
         retry b {}",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            b lost: b unknown #1
            wake: b asked #2
            b no: b refused, saga parked (RefusedAfterPivot(StepIndex(1)))
            retry b {}: an attempt of it is unknown: it may have taken effect with its first payload; retry without one
            = failed
        "#]],
    );
    check(
        plan(),
        "a ok
         unmade b
         retry a {}
         retry b {}
         b ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            unmade b: b unmade, saga parked (Unmade(StepIndex(1)))
            retry a {}: cannot retry while failed: nothing in it waits to be asked again
            retry b {}: saga retried by ann, action b corrected, round 2, b retried, b asked #2
            b ok: b completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn a_failed_undo_refused_with_a_code_takes_another_payload_too() {
    check(
        definition(None, [step("a"), step("b")]),
        "a ok
         b no
         undo a no:bad_account
         retry a {}
         undo a no:bad_account
         retry a {}
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            b no: b refused, turned back (b was refused), undo of a started
            undo a no:bad_account: undo of a failed, saga parked (CompensationFailed)
            retry a {}: saga retried by ann, compensation a corrected, round 2, a retried, undo of a started
            undo a no:bad_account: undo of a failed, saga parked (CompensationFailed)
            retry a {}: saga retried by ann, compensation a corrected, round 3, a retried, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
    check(
        definition(None, [step("a"), step("b")]),
        "a ok
         b no
         undo a lost
         wake
         undo a no:bad_account
         retry a {}",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            b no: b refused, turned back (b was refused), undo of a started
            undo a lost: undo of a unknown #1
            wake: undo of a asked #2
            undo a no:bad_account: undo of a failed, saga parked (CompensationFailed)
            retry a {}: an attempt of it is unknown: it may have taken effect with its first payload; retry without one
            = failed
        "#]],
    );
}

// Runs for each element.

fn legs(count: usize, concurrency: u32) -> SagaDefinition {
    let steps = [step("a"), step("leg").each(concurrency), step("z")];
    Scripted::default().runs("leg", count).for_definition(definition(None, steps))
}

#[test]
fn a_step_runs_once_for_each_element_so_many_together_in_order() {
    check(
        legs(3, 2),
        "a ok
         leg[1] ok
         leg[0] ok
         leg[2] ok
         z ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, leg split in 3, leg[0] started, leg[1] started
            leg[1] ok: leg[1] completed, leg[2] started
            leg[0] ok: leg[0] completed
            leg[2] ok: leg[2] completed, z started
            z ok: z completed, saga completed
            = completed
        "#]],
    );
    let mut run = Run::start(legs(3, 3));
    let next = |run: &Run| run.saga.owed().next();
    while let Some(Effect::Call(call)) = next(&run) {
        run.answer(call, completed(), 1);
    }
    let list = run.saga.output(StepIndex(1)).unwrap();
    assert_eq!(&list[..], br#"[{"ok":true},{"ok":true},{"ok":true}]"#);
}

#[test]
fn a_step_without_elements_is_done_with_an_empty_list() {
    check(
        legs(0, 1),
        "a ok\n z ok",
        expect![[r#"
        start: saga started, a started
        a ok: a completed, leg split in 0, z started
        z ok: z completed, saga completed
        = completed
    "#]],
    );
}

#[test]
fn a_run_that_refuses_starts_no_further_one_and_the_others_are_undone_from_the_last_to_the_first() {
    check(
        legs(5, 3),
        "a ok
         leg[0] ok
         leg[1] no
         leg[3] ok
         leg[2] lost
         undo leg[3] ok
         crash
         undo leg[2] ok
         undo leg[0] ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, leg split in 5, leg[0] started, leg[1] started, leg[2] started
            leg[0] ok: leg[0] completed, leg[3] started
            leg[1] no: leg[1] refused, turned back (leg[1] was refused)
            leg[3] ok: leg[3] completed
            leg[2] lost: leg[2] unknown #1, leg[2] given up (TurnedBack), undo of leg[3] started
            undo leg[3] ok: undo of leg[3] completed, undo of leg[2] started in doubt
            crash: undo of leg[2] unknown #1, undo of leg[2] asked #2
            undo leg[2] ok: undo of leg[2] completed, undo of leg[0] started
            undo leg[0] ok: undo of leg[0] completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn after_the_pivot_a_run_that_fails_parks_and_undoes_nothing() {
    let steps = [final_step("a"), final_step("leg").each(2), final_step("z")];
    let plan = || Scripted::default().runs("leg", 4).for_definition(definition(Some("a"), steps.clone()));
    check(
        plan(),
        "a ok
         leg[0] no:bad_address
         leg[1] ok
         skip leg[2]
         skip leg
         retry leg[0] {}
         leg[0] ok
         leg[2] no
         skip leg[2]
         leg[3] ok
         z ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, leg split in 4, leg[0] started, leg[1] started
            leg[0] no:bad_address: leg[0] refused, saga parked (RefusedAfterPivot(StepIndex(1)[0]))
            leg[1] ok: leg[1] completed
            skip leg[2]: cannot skip while failed: the runs of a step start in order: only one that failed is skipped
            skip leg: cannot skip while failed: it runs once for each element: name the run, such as Leg[3]
            retry leg[0] {}: saga retried by ann, action leg[0] corrected, round 2, leg[0] retried, leg[0] asked #2, leg[2] started
            leg[0] ok: leg[0] completed, leg[3] started
            leg[2] no: leg[2] refused, saga parked (RefusedAfterPivot(StepIndex(1)[2]))
            skip leg[2]: leg[2] skipped by ann
            leg[3] ok: leg[3] completed, z started
            z ok: z completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn a_saga_turned_back_before_a_run_started_owes_it_nothing() {
    check(
        legs(3, 1),
        "a ok
         leg[0] ok
         cancel
         leg[1] ok
         undo leg[1] ok
         undo leg[0] no
         undo a ok
         resolve leg[0]",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, leg split in 3, leg[0] started
            leg[0] ok: leg[0] completed, leg[1] started
            cancel: cancel requested by ann, turned back (cancelled)
            leg[1] ok: leg[1] completed, undo of leg[1] started
            undo leg[1] ok: undo of leg[1] completed, undo of leg[0] started
            undo leg[0] no: undo of leg[0] failed, undo of a started
            undo a ok: undo of a completed, saga parked (CompensationFailed)
            resolve leg[0]: undo of leg[0] resolved by ann, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn a_list_that_grows_too_large_parks_with_its_last_output() {
    check(
        legs(2, 1),
        "a ok
         big 20
         leg[0] ok
         leg[1] ok
         skip leg[1]
         big 1000
         z ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, leg split in 2, leg[0] started
            big 20: -
            leg[0] ok: leg[0] completed, leg[1] started
            leg[1] ok: output of leg[1] too large (25 > 20), saga parked (OutputTooLarge { step: StepIndex(1)[1], bytes: 25, limit: 20 })
            skip leg[1]: leg[1] skipped by ann, z started
            big 1000: -
            z ok: z completed, saga completed
            = completed
        "#]],
    );
}

// Callbacks.

#[test]
fn a_callback_decides_the_call_whichever_attempt_led_to_it() {
    check(
        definition(None, [step("a"), step("b")]),
        "a calls back ok
         a ok
         a calls back ok
         a calls back no
         b working
         b calls back working
         wait 30000
         b calls back working
         b calls back no:sold_out
         b calls back no:sold_out
         b calls back no
         b calls back ok
         b calls back ok
         undo a working
         undo a calls back ok
         undo a calls back ok",
        expect![[r#"
            start: saga started, a started
            a calls back ok: a completed, b started
            a ok: -
            a calls back ok: -
            a calls back no: the callback changes nothing: the call is completed already
            b working: b working #1
            b calls back working: -
            wait 30000: -
            b calls back working: b working #1
            b calls back no:sold_out: b refused, turned back (b was refused), undo of a started
            b calls back no:sold_out: -
            b calls back no: the callback changes nothing: the call is refused already, with another code
            b calls back ok: late effect of b
            b calls back ok: -
            undo a working: undo of a working #1
            undo a calls back ok: undo of a completed, saga compensated
            undo a calls back ok: -
            = compensated
        "#]],
    );
}

#[test]
fn a_refusal_by_callback_is_certain_only_if_no_other_attempt_is_out_or_unknown() {
    check(
        definition(None, [step("a"), step("b")]),
        "a ok
         b lost
         b calls back no
         undo b ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            b lost: b unknown #1
            b calls back no: b refused, turned back (b was refused), undo of b started in doubt
            undo b ok: undo of b completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
    let plan = || definition(None, [step("a"), step("b").retry(RetryPolicy::action())]);
    check(
        plan(),
        "a ok
         b working+100
         wait 110
         b calls back no
         b calls back no
         b working+100
         undo b ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            b working+100: b working #1
            wait 110: b asked #2
            b calls back no: b refused by callback
            b calls back no: -
            b working+100: b refused, turned back (b was refused), undo of b started in doubt
            undo b ok: undo of b completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
    check(
        plan(),
        "a ok
         b working+100
         wait 110
         b calls back no
         crash
         undo b ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            b working+100: b working #1
            wait 110: b asked #2
            b calls back no: b refused by callback
            crash: b refused, turned back (b was refused), undo of b started in doubt
            undo b ok: undo of b completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
    check(
        plan(),
        "a ok
         b working+100
         wait 110
         b calls back no
         b ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            b working+100: b working #1
            wait 110: b asked #2
            b calls back no: b refused by callback
            b ok: b completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn an_effect_reported_of_a_step_that_was_given_up_is_recorded_once_also_after_the_end() {
    check(
        definition(None, [step("a")]),
        "a lost
         wake
         a lost
         undo a ok
         a calls back ok
         a calls back ok",
        expect![[r#"
            start: saga started, a started
            a lost: a unknown #1
            wake: a asked #2
            a lost: a unknown #2, a given up (Exhausted), turned back (a was exhausted), undo of a started in doubt
            undo a ok: undo of a completed, saga compensated
            a calls back ok: late effect of a
            a calls back ok: -
            = compensated
        "#]],
    );
}

#[test]
fn an_output_too_large_by_callback_parks() {
    check(
        definition(None, [step("a")]),
        "a working
         big 5
         a calls back ok",
        expect![[r#"
            start: saga started, a started
            a working: a working #1
            big 5: -
            a calls back ok: output of a too large (11 > 5), saga parked (OutputTooLarge { step: StepIndex(0), bytes: 11, limit: 5 })
            = failed
        "#]],
    );
}

// Sagas in sagas.

fn with_child(pivot: Option<&str>, child_at: usize) -> SagaDefinition {
    let mut steps = match pivot {
        None => vec![step("a"), step("b")],
        Some(_) => vec![final_step("a"), final_step("b")],
    };
    steps.insert(child_at, StepSpec::child("sub", amends_core::DefinitionName::new("Sub"), 3));
    Scripted::default().for_definition(definition(pivot, steps))
}

#[test]
fn a_childs_output_is_its_steps() {
    check(
        with_child(None, 1),
        "a ok
         child sub goes
         child sub completes
         child sub completes
         b ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, sub started
            child sub goes: -
            child sub completes: sub completed, b started
            child sub completes: -
            b ok: b completed, saga completed
            = completed
        "#]],
    );
    let mut run = Run::start(with_child(None, 0));
    let Some(Effect::Child(owed)) = run.saga.owed().next() else { panic!("a child is owed") };
    assert_eq!(run.saga.child(owed.step), Some(owed.id));
    run.crash();
    assert_eq!(run.saga.owed().next(), Some(Effect::Child(owed)), "the same one is owed after a crash");
    let stands = amends_core::ChildStands::Completed { output: bytes::Bytes::from_static(b"[7]") };
    run.give(amends_core::Command::Child { child: owed.id, stands }, 1).unwrap();
    assert_eq!(run.saga.output(StepIndex(0)).map(|output| &output[..]), Some(&b"[7]"[..]));
}

#[test]
fn a_child_that_compensates_is_a_refusal_with_its_reason() {
    check(
        with_child(None, 1),
        "a ok
         child sub compensates
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, sub started
            child sub compensates: sub refused, turned back (sub was refused), undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
    check(
        with_child(Some("a"), 1),
        "a ok
         child sub compensates
         retry
         child sub completes
         b ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, sub started
            child sub compensates: sub refused, saga parked (RefusedAfterPivot(StepIndex(1)))
            retry: saga retried by ann, sub retried
            child sub completes: sub completed, b started
            b ok: b completed, saga completed
            = completed
        "#]],
    );
    let mut run = Run::start(with_child(Some("a"), 1));
    let next = |run: &Run| run.saga.owed().next();
    let Some(Effect::Call(call)) = next(&run) else { panic!("a call is owed") };
    run.answer(call, completed(), 1);
    let Some(Effect::Child(first)) = next(&run) else { panic!("a child is owed") };
    let reason = amends_core::Reason::new("sold_out", "none left");
    let stands = amends_core::ChildStands::Compensated { reason };
    run.give(amends_core::Command::Child { child: first.id, stands }, 1).unwrap();
    run.operate(amends_core::Verb::RETRY).unwrap();
    let Some(Effect::Child(second)) = next(&run) else { panic!("a child is owed") };
    assert_ne!(first.id, second.id, "another one is started");
}

#[test]
fn a_child_is_undone_as_a_whole_when_its_parent_turns_back() {
    check(
        with_child(None, 1),
        "a ok
         child sub completes
         b no
         child sub completes
         child sub compensates
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, sub started
            child sub completes: sub completed, b started
            b no: b refused, turned back (b was refused), undo of sub started
            child sub completes: -
            child sub compensates: undo of sub completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
    check(
        with_child(None, 1),
        "a ok
         cancel
         crash
         child sub completes
         child sub parks
         retry
         child sub goes
         child sub compensates
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, sub started
            cancel: cancel requested by ann, turned back (cancelled), sub given up (TurnedBack), undo of sub started
            crash: -
            child sub completes: -
            child sub parks: saga parked (ChildParked(StepIndex(1)))
            retry: cannot retry while failed: it waits for the saga in its step: retry, skip or resolve there, and both go on
            child sub goes: child of sub freed
            child sub compensates: undo of sub completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
}

#[test]
fn a_parked_child_parks_its_parent_and_helping_it_frees_both() {
    check(
        with_child(Some("a"), 1),
        "a ok
         child sub parks
         child sub parks
         retry
         skip sub
         crash
         child sub goes
         child sub parks
         child sub completes
         b ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, sub started
            child sub parks: saga parked (ChildParked(StepIndex(1)))
            child sub parks: -
            retry: cannot retry while failed: it waits for the saga in its step: retry, skip or resolve there, and both go on
            skip sub: cannot skip while failed: only a step that failed, sleeps, waits or has not started is skipped
            crash: -
            child sub goes: child of sub freed
            child sub parks: saga parked (ChildParked(StepIndex(1)))
            child sub completes: child of sub freed, sub completed, b started
            b ok: b completed, saga completed
            = completed
        "#]],
    );
}

#[test]
fn what_is_wanted_of_children_follows_their_parent() {
    let mut run = Run::start(with_child(None, 0));
    let want = |run: &Run| {
        run.saga.owed().find_map(|effect| match effect {
            Effect::Child(child) => Some(child.want),
            Effect::Call(_) => None,
        })
    };
    let none = amends_core::Want::default();
    assert_eq!(want(&run), Some(none));
    run.operate(amends_core::Verb::Pause).unwrap();
    assert_eq!(want(&run), Some(amends_core::Want { pause: true, ..none }));
    run.operate(amends_core::Verb::Resume).unwrap();
    run.operate(amends_core::Verb::Cancel).unwrap();
    assert_eq!(want(&run), Some(amends_core::Want { undo: true, ..none }));
    run.operate(amends_core::Verb::Abandon).unwrap();
    assert_eq!(want(&run), Some(amends_core::Want { undo: true, abandon: true, ..none }));
}

#[test]
fn a_child_that_is_recalled_turns_back_unless_it_is_past_its_pivot_and_then_at_its_end() {
    check(
        definition(None, [step("a"), step("b")]),
        "a ok
         wanted undone
         wanted undone
         b ok
         undo b ok
         undo a ok
         wanted undone",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, b started
            wanted undone: recalled, turned back (recalled)
            wanted undone: -
            b ok: b completed, undo of b started
            undo b ok: undo of b completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            wanted undone: -
            = compensated
        "#]],
    );
    check(
        definition(Some("p"), [step("a"), step("p"), final_step("z")]),
        "a ok
         p ok
         wanted undone
         crash
         z ok
         undo p ok
         undo a ok",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, p started
            p ok: p completed, z started
            wanted undone: recalled
            crash: z unknown #1, z asked #2
            z ok: z completed, saga completed, turned back (recalled), undo of p started
            undo p ok: undo of p completed, undo of a started
            undo a ok: undo of a completed, saga compensated
            = compensated
        "#]],
    );
    check(
        definition(None, [step("a")]),
        "a ok
         wanted undone
         undo a ok
         wanted abandoned",
        expect![[r#"
            start: saga started, a started
            a ok: a completed, saga completed
            wanted undone: recalled, turned back (recalled), undo of a started
            undo a ok: undo of a completed, saga compensated
            wanted abandoned: -
            = compensated
        "#]],
    );
    check(
        definition(None, [step("a")]),
        "wanted paused
         wanted paused
         wanted
         wanted abandoned
         wanted undone",
        expect![[r#"
            start: saga started, a started
            wanted paused: saga paused by amends
            wanted paused: -
            wanted: saga resumed by amends
            wanted abandoned: saga abandoned by amends
            wanted undone: -
            = abandoned
        "#]],
    );
}

#[test]
fn verbs_on_a_child_that_are_its_roots_name_the_root() {
    let root = amends_core::TransactionId::from_parts(9, 9);
    let parent =
        amends_core::Parent { id: root, step: StepIndex(0).into(), step_name: "sub".to_owned(), root };
    let origin = amends_core::Origin { parent: Some(parent), ..amends_core::Origin::default() };
    let mut run = Run::start_from(definition(None, [step("a")]), origin);
    for verb in [amends_core::Verb::Cancel, amends_core::Verb::Pause, amends_core::Verb::Abandon] {
        let word = verb.as_str();
        assert_eq!(run.operate(verb), Err(amends_core::Rejected::OfRoot { verb: word, root }));
    }
}
