//! The two kinds of error, as users and logs see them.

use time::macros::datetime;

use courier_core::error::*;

#[test]
fn a_temporary_error_says_when_it_will_be_retried() {
    let shown = |after| Error::retry(after, "Throttling", "slow down").to_string();
    assert_eq!(shown(RetryAfter::Seconds), "Throttling: slow down. Temporary: will be retried in seconds.");
    assert_eq!(shown(RetryAfter::Minutes), "Throttling: slow down. Temporary: will be retried in minutes.");
    for (time, minute) in [
        (datetime!(2026-01-31 09:30 UTC), "2026-01-31 09:30 UTC"),
        (datetime!(2026-01-31 09:30:01 UTC), "2026-01-31 09:31 UTC"),
        (datetime!(2026-01-31 23:59:30 -01:00), "2026-02-01 01:00 UTC"),
    ] {
        assert_eq!(
            shown(RetryAfter::Until(time)),
            format!("Throttling: slow down. Temporary: will be retried at {minute}.")
        );
    }
}

#[test]
fn a_rejection_says_what_happened_and_what_to_do() {
    assert_eq!(Error::rejected("Code", "it failed", "do this").to_string(), "Code: it failed. What to do: do this.");
    assert_eq!(Error::rejected("Code", "it failed", "").to_string(), "Code: it failed.");
}

#[test]
fn no_sentence_of_an_error_has_two_marks_at_its_end() {
    for (message, shown) in [
        ("Request limit exceeded.", "Code: Request limit exceeded. What to do: wait."),
        ("there is no `x`: did you mean `y`?", "Code: there is no `x`: did you mean `y`? What to do: wait."),
        ("stop! ", "Code: stop! What to do: wait."),
        ("it is open;", "Code: it is open. What to do: wait."),
    ] {
        assert_eq!(Error::rejected("Code", message, "wait.").to_string(), shown);
    }
}

#[test]
fn an_error_knows_its_kind_its_code_and_when_to_retry() {
    let retry = Error::retry(RetryAfter::Minutes, code::NO_ANSWER, "no answer");
    let rejected = Error::rejected(code::NAME_TAKEN, "taken", "rename it");
    assert_eq!(
        (retry.name(), retry.code.as_str(), retry.retry_after()),
        ("Retry", "NoAnswer", Some(RetryAfter::Minutes))
    );
    assert_eq!(
        (rejected.name(), rejected.code.as_str(), rejected.retry_after()),
        ("Rejected", "InvalidAMIName.Duplicate", None)
    );
}

#[test]
fn only_a_rejection_whose_cause_may_pass_is_retried_at_first() {
    let at_first = |remedy: Remedy| {
        let mut error = Error { remedy, ..Error::rejected("Code", "it failed", "") };
        error.retry_at_first();
        error.remedy
    };
    let advice = || "do this".to_owned();
    assert_eq!(at_first(Remedy::AdviceIfItStays(advice())), Remedy::Retry(RetryAfter::Minutes));
    for stays in [Remedy::Advice(advice()), Remedy::Retry(RetryAfter::Seconds)] {
        assert_eq!(at_first(stays.clone()), stays);
    }
    let if_it_stays = Error { remedy: Remedy::AdviceIfItStays(advice()), ..Error::bug("x") };
    assert_eq!(
        (if_it_stays.name(), if_it_stays.retry_after(), if_it_stays.advice()),
        ("Rejected", None, Some("do this"))
    );
    assert_eq!(Error::retry(RetryAfter::Seconds, "Code", "x").advice(), None);
    assert_eq!(Error::bug("x").to_string(), "InternalError: internal error: x. What to do: report this as a bug.");
}

#[test]
fn what_is_worth_another_attempt_sooner_comes_first() {
    let until = |time| RetryAfter::Until(time);
    let mut all = [
        until(datetime!(2026-02-01 0:00 UTC)),
        RetryAfter::Minutes,
        until(datetime!(2026-01-01 0:00 UTC)),
        RetryAfter::Seconds,
    ];
    all.sort();
    assert_eq!(all[..2], [RetryAfter::Seconds, RetryAfter::Minutes]);
    assert!(all[2] < all[3]);
}

#[test]
fn several_failures_are_reported_together_and_retried_as_long_as_one_is_temporary() {
    let rejected = Error::rejected("A", "first", "do this");
    let retried = Error::retry(RetryAfter::Minutes, "B", "second");
    let all = Error::all(vec![rejected.clone(), retried]).unwrap();
    assert_eq!((all.message.as_str(), all.retry_after()), ("first; second", Some(RetryAfter::Minutes)));
    let other = Error::rejected("C", "third", "do that");
    assert_eq!(Error::all(vec![rejected, other]).unwrap().message, "first; third");
    assert!(Error::all(Vec::new()).is_none());
}
