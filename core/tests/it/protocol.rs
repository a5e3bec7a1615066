//! The protocol, row by row: what was seen, and what follows. That the rules together hold is `tests/model`.

use courier_core::protocol::{End, Look, LookById, Next, Order, Resume, Timing, Try};
use proptest::prelude::*;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const EC2: Timing = Timing::EC2;
const TRIES: u32 = EC2.tries;
const HOPS: u32 = EC2.hops;

const ANNOUNCED: Order =
    Order { resume: Resume::FromStart, age: MINUTE, has_queue: true, has_own_token: false, hops: 0, is_swept: true };
const WITHOUT_QUEUE: Order = Order { has_queue: false, ..ANNOUNCED };
const WITH_OWN_TOKEN: Order = Order { has_own_token: true, ..ANNOUNCED };

fn at(epoch: u32, number: u32) -> Try {
    Try { epoch, number }
}

fn second_look(resume: Try) -> Order {
    Order { resume: Resume::SecondLook(resume), ..ANNOUNCED }
}

fn dead_letter(next: Try) -> Order {
    Order { resume: Resume::DeadLetter(next), ..ANNOUNCED }
}

#[test]
fn the_first_look_decides_whether_and_at_which_try_the_courier_calls() {
    let aged = |order: Order, age| Order { age, ..order };
    let quiet_until = |age| Next::End(End::QuietUntil { age });
    for (order, seen, next) in [
        // A live copy is the answer, whatever the message says and whenever it comes.
        (ANNOUNCED, Look::Live, Next::End(End::AlreadyCopied)),
        (second_look(at(0, 1)), Look::Live, Next::End(End::AlreadyCopied)),
        (dead_letter(at(0, 1)), Look::Live, Next::End(End::AlreadyCopied)),
        (aged(ANNOUNCED, 23 * HOUR), Look::Live, Next::End(End::AlreadyCopied)),
        (WITH_OWN_TOKEN, Look::Live, Next::End(End::AlreadyCopied)),
        // Somebody else's pending copy may fail: the same try is looked at again.
        (ANNOUNCED, Look::PendingOfSomebodyElse, Next::End(End::SecondLook { resume: at(0, 0) })),
        (second_look(at(0, 1)), Look::PendingOfSomebodyElse, Next::End(End::SecondLook { resume: at(0, 1) })),
        (dead_letter(at(0, 2)), Look::PendingOfSomebodyElse, Next::End(End::SecondLook { resume: at(0, 2) })),
        (WITHOUT_QUEUE, Look::PendingOfSomebodyElse, Next::End(End::AlreadyCopied)),
        (WITH_OWN_TOKEN, Look::PendingOfSomebodyElse, Next::End(End::AlreadyCopied)),
        // No copy: the try that the message names, if it is of this epoch.
        (ANNOUNCED, Look::Nothing, Next::Copy(at(0, 0))),
        (second_look(at(0, 1)), Look::Nothing, Next::Copy(at(0, 1))),
        (dead_letter(at(0, 2)), Look::Nothing, Next::Copy(at(0, 2))),
        (aged(ANNOUNCED, 24 * HOUR), Look::Nothing, Next::Copy(at(1, 0))),
        (aged(second_look(at(0, 1)), 24 * HOUR), Look::Nothing, Next::Copy(at(1, 0))),
        (aged(dead_letter(at(0, 7)), 24 * HOUR), Look::Nothing, Next::Copy(at(1, 0))),
        (second_look(at(1, 1)), Look::Nothing, Next::Copy(at(0, 0))),
        // The last try, and beyond. An operator's letter gets its try, whatever its number.
        (second_look(at(0, TRIES - 1)), Look::Nothing, Next::Copy(at(0, TRIES - 1))),
        (second_look(at(0, TRIES)), Look::Nothing, Next::End(End::Spent { resume: at(0, TRIES) })),
        (dead_letter(at(0, TRIES)), Look::Nothing, Next::Copy(at(0, TRIES))),
        (dead_letter(at(0, u32::MAX)), Look::Nothing, Next::End(End::Spent { resume: at(0, u32::MAX) })),
        // The quiet time: from the beginning of every epoch but the first.
        (aged(ANNOUNCED, 0), Look::Nothing, Next::Copy(at(0, 0))),
        (aged(ANNOUNCED, 23 * HOUR - 1), Look::Nothing, Next::Copy(at(0, 0))),
        (aged(ANNOUNCED, 23 * HOUR), Look::Nothing, quiet_until(23 * HOUR + 30 * MINUTE)),
        (aged(ANNOUNCED, 23 * HOUR + 30 * MINUTE - 1), Look::Nothing, quiet_until(23 * HOUR + 30 * MINUTE)),
        (aged(ANNOUNCED, 23 * HOUR + 30 * MINUTE), Look::Nothing, Next::Copy(at(1, 0))),
        (aged(dead_letter(at(2, 1)), 46 * HOUR), Look::Nothing, quiet_until(46 * HOUR + 30 * MINUTE)),
        // A request's own token knows neither epochs nor quiet times.
        (aged(WITH_OWN_TOKEN, 23 * HOUR), Look::Nothing, Next::Copy(Try::FIRST)),
        (Order { has_own_token: true, ..dead_letter(at(0, 3)) }, Look::Nothing, Next::Copy(Try::FIRST)),
    ] {
        assert_eq!(order.after_look(&EC2, seen), next, "{order:?} saw {seen:?}");
    }
}

#[test]
fn a_letter_with_a_number_that_no_try_can_have_starts_nothing() {
    let after_look = |number| dead_letter(at(0, number)).after_look(&EC2, Look::Nothing);
    assert_eq!(after_look(Try::MOST - 1), Next::Copy(at(0, Try::MOST - 1)));
    for number in [Try::MOST, Try::MOST + 1, u32::MAX - 1, u32::MAX] {
        assert_eq!(after_look(number), Next::End(End::Spent { resume: at(0, number) }));
        assert_eq!(dead_letter(at(0, number)).after_look(&EC2, Look::Live), Next::End(End::AlreadyCopied));
    }
    let last = dead_letter(at(0, Try::MOST - 1));
    let dead = last.after_answer(&EC2, at(0, Try::MOST - 1), LookById::Dead);
    assert_eq!(dead, Next::End(End::Spent { resume: at(0, Try::MOST) }));
}

#[test]
fn only_an_ami_that_is_seen_dead_makes_the_next_try_follow() {
    let spent = |number| Next::End(End::Spent { resume: at(0, number) });
    for (order, tried, seen, next) in [
        (ANNOUNCED, at(0, 0), LookById::Live, Next::End(End::Started)),
        (WITHOUT_QUEUE, at(0, 0), LookById::Live, Next::End(End::Started)),
        (WITH_OWN_TOKEN, Try::FIRST, LookById::Live, Next::End(End::Started)),
        (ANNOUNCED, at(0, 0), LookById::NotVisible, Next::End(End::StartedUnseen { resume: at(0, 1) })),
        (ANNOUNCED, at(0, TRIES - 1), LookById::NotVisible, Next::End(End::StartedUnseen { resume: at(0, TRIES) })),
        (WITHOUT_QUEUE, at(0, 0), LookById::NotVisible, Next::End(End::Undecided)),
        (WITH_OWN_TOKEN, Try::FIRST, LookById::NotVisible, Next::End(End::StartedForOwnToken)),
        (ANNOUNCED, at(0, 0), LookById::Dead, Next::Copy(at(0, 1))),
        (WITHOUT_QUEUE, at(0, 0), LookById::Dead, Next::Copy(at(0, 1))),
        (ANNOUNCED, at(0, TRIES - 2), LookById::Dead, Next::Copy(at(0, TRIES - 1))),
        (ANNOUNCED, at(0, TRIES - 1), LookById::Dead, spent(TRIES)),
        (dead_letter(at(0, TRIES)), at(0, TRIES - 1), LookById::Dead, Next::Copy(at(0, TRIES))),
        (dead_letter(at(0, TRIES)), at(0, TRIES), LookById::Dead, spent(TRIES + 1)),
        (dead_letter(at(0, 1)), at(0, TRIES - 2), LookById::Dead, Next::Copy(at(0, TRIES - 1))),
        // A letter of another epoch allows nothing beyond the usual.
        (dead_letter(at(1, TRIES + 3)), at(0, TRIES - 1), LookById::Dead, spent(TRIES)),
        (WITH_OWN_TOKEN, Try::FIRST, LookById::Dead, Next::End(End::OwnTokenIsDead)),
    ] {
        assert_eq!(order.after_answer(&EC2, tried, seen), next, "{order:?} tried {tried} and saw {seen:?}");
    }
}

#[test]
fn a_refused_token_starts_nothing_and_is_looked_at_again() {
    for (order, seen, end) in [
        (ANNOUNCED, Look::Live, End::AlreadyCopied),
        (ANNOUNCED, Look::Nothing, End::SecondLook { resume: at(0, 2) }),
        (ANNOUNCED, Look::PendingOfSomebodyElse, End::SecondLook { resume: at(0, 2) }),
        (WITHOUT_QUEUE, Look::Live, End::AlreadyCopied),
        (WITHOUT_QUEUE, Look::Nothing, End::Undecided),
        (WITHOUT_QUEUE, Look::PendingOfSomebodyElse, End::Undecided),
        (WITH_OWN_TOKEN, Look::Live, End::OwnTokenIsRefused),
        (WITH_OWN_TOKEN, Look::Nothing, End::OwnTokenIsRefused),
    ] {
        assert_eq!(order.after_refusal(&EC2, at(0, 1), seen), Next::End(end), "{order:?} saw {seen:?}");
    }
}

#[test]
fn after_the_last_hop_no_further_message_is_sent_and_the_sweep_or_an_operator_goes_on() {
    let sends = |next| matches!(next, Next::End(End::SecondLook { .. } | End::StartedUnseen { .. }));
    for (hops, is_swept, ends_as) in [
        (0, true, None),
        (HOPS - 1, true, None),
        (HOPS, true, Some(End::LeftToSweep)),
        (HOPS, false, Some(End::TooManyHops)),
    ] {
        let order = Order { hops, is_swept, ..second_look(at(0, 1)) };
        for next in [
            order.after_look(&EC2, Look::PendingOfSomebodyElse),
            order.after_answer(&EC2, at(0, 1), LookById::NotVisible),
            order.after_refusal(&EC2, at(0, 1), Look::Nothing),
            order.after_refusal(&EC2, at(0, 1), Look::PendingOfSomebodyElse),
        ] {
            match ends_as {
                None => assert!(sends(next), "{order:?}: {next:?}"),
                Some(end) => assert_eq!(next, Next::End(end), "{order:?}"),
            }
        }
        // What sends no message is as it was.
        assert_eq!(order.after_look(&EC2, Look::Live), Next::End(End::AlreadyCopied));
        assert_eq!(order.after_look(&EC2, Look::Nothing), Next::Copy(at(0, 1)));
        assert_eq!(order.after_answer(&EC2, at(0, 1), LookById::Dead), Next::Copy(at(0, 2)));
        assert_eq!(order.after_answer(&EC2, at(0, 1), LookById::Live), Next::End(End::Started));
    }
    let without_queue = Order { hops: HOPS, ..WITHOUT_QUEUE };
    assert_eq!(without_queue.after_look(&EC2, Look::PendingOfSomebodyElse), Next::End(End::AlreadyCopied));
    assert_eq!(without_queue.after_answer(&EC2, at(0, 0), LookById::NotVisible), Next::End(End::Undecided));
}

#[test]
fn a_chain_is_long_enough_for_the_tries_of_two_epochs_and_shorter_than_what_lambda_takes_for_a_loop() {
    const { assert!(2 * TRIES < HOPS && HOPS + 1 < 16) };
}

#[test]
fn the_durations_keep_what_the_rules_need() {
    let (visible_after, remembered, pause, clocks) = (15 * MINUTE, 24 * HOUR, 7 * MINUTE, MINUTE);
    assert!(EC2.second_look >= visible_after);
    assert!(EC2.quiet >= visible_after + pause + clocks);
    assert!(EC2.epoch + pause + clocks < remembered);
}

#[test]
fn a_try_is_read_as_it_is_written() {
    for (tried, text) in [(Try::FIRST, "0.0"), (at(3, 12), "3.12"), (at(u32::MAX, u32::MAX), "4294967295.4294967295")] {
        assert_eq!(tried.to_string(), text);
        assert_eq!(text.parse(), Ok(tried));
    }
    for text in ["", ".", "0", "0.", ".0", "0.1.2", "-1.0", "+1.0", "01.0", "0.+1", "0. 1", "0.4294967296", "a.b"] {
        let malformed = text.parse::<Try>().unwrap_err();
        assert_eq!(malformed.to_string(), format!("`{text}` is not a try (`EPOCH.TRY`, such as `0.1`)"));
    }
    assert_eq!(at(2, 0).next(), at(2, 1));
    assert_eq!(at(2, u32::MAX).next(), at(2, u32::MAX));
}

fn any_resume() -> impl Strategy<Value = Resume> {
    let any_try = (0..4_u32, 0..8_u32).prop_map(|(epoch, number)| at(epoch, number));
    prop_oneof![
        Just(Resume::FromStart),
        any_try.clone().prop_map(Resume::SecondLook),
        any_try.prop_map(Resume::DeadLetter),
    ]
}

fn any_order() -> impl Strategy<Value = Order> {
    (any_resume(), 0..4 * EC2.epoch, any::<[bool; 3]>(), 0..2 * HOPS).prop_map(
        |(resume, age, [has_queue, has_own_token, is_swept], hops)| Order {
            resume,
            age,
            has_queue,
            has_own_token,
            hops,
            is_swept,
        },
    )
}

fn any_look() -> impl Strategy<Value = Look> {
    prop_oneof![Just(Look::Live), Just(Look::PendingOfSomebodyElse), Just(Look::Nothing)]
}

fn any_look_by_id() -> impl Strategy<Value = LookById> {
    prop_oneof![Just(LookById::Live), Just(LookById::Dead), Just(LookById::NotVisible)]
}

/// The model checker keeps only what plays a role. These are the reasons why it may.
mod the_model_may {
    use super::*;

    /// The same message, an epoch later.
    fn later(resume: Resume) -> Resume {
        let later = |tried: Try| at(tried.epoch + 1, tried.number);
        match resume {
            Resume::FromStart => resume,
            Resume::SecondLook(tried) => Resume::SecondLook(later(tried)),
            Resume::DeadLetter(tried) => Resume::DeadLetter(later(tried)),
        }
    }

    fn next_later(next: Next) -> Next {
        let later = |tried: Try| at(tried.epoch + 1, tried.number);
        match next {
            Next::Copy(tried) => Next::Copy(later(tried)),
            Next::End(End::StartedUnseen { resume }) => Next::End(End::StartedUnseen { resume: later(resume) }),
            Next::End(End::SecondLook { resume }) => Next::End(End::SecondLook { resume: later(resume) }),
            Next::End(End::Spent { resume }) => Next::End(End::Spent { resume: later(resume) }),
            Next::End(End::QuietUntil { age }) => Next::End(End::QuietUntil { age: age + EC2.epoch }),
            Next::End(end) => Next::End(end),
        }
    }

    proptest! {
        #[test]
        fn begin_an_epoch_again_since_all_but_the_first_are_alike(
            order in any_order(), seen in any_look(), by_id in any_look_by_id(), number in 0..8_u32,
        ) {
            prop_assume!(order.age >= EC2.epoch && !order.has_own_token);
            let epoch = EC2.epoch_at(order.age);
            let after = Order { resume: later(order.resume), age: order.age + EC2.epoch, ..order };
            prop_assert_eq!(after.after_look(&EC2, seen), next_later(order.after_look(&EC2, seen)));
            prop_assert_eq!(
                after.after_answer(&EC2, at(epoch + 1, number), by_id),
                next_later(order.after_answer(&EC2, at(epoch, number), by_id))
            );
            prop_assert_eq!(
                after.after_refusal(&EC2, at(epoch + 1, number), seen),
                next_later(order.after_refusal(&EC2, at(epoch, number), seen))
            );
        }

        #[test]
        fn take_a_second_look_or_a_letter_of_another_epoch_for_an_announcement(
            order in any_order(), seen in any_look(), by_id in any_look_by_id(), number in 0..8_u32,
        ) {
            let epoch = EC2.epoch_at(order.age);
            let of_another = |tried: Try| tried.epoch != epoch;
            prop_assume!(match order.resume {
                Resume::FromStart => false,
                Resume::SecondLook(tried) | Resume::DeadLetter(tried) => of_another(tried),
            });
            let announced = Order { resume: Resume::FromStart, ..order };
            prop_assert_eq!(order.after_look(&EC2, seen), announced.after_look(&EC2, seen));
            let tried = at(epoch, number);
            prop_assert_eq!(order.after_answer(&EC2, tried, by_id), announced.after_answer(&EC2, tried, by_id));
        }

        #[test]
        fn forget_all_but_the_epoch_and_the_allowed_try_after_the_first_look(
            order in any_order(), by_id in any_look_by_id(), number in 0..8_u32,
        ) {
            let epoch = EC2.epoch_at(order.age);
            let resume = match order.resume {
                Resume::DeadLetter(next) if next.epoch == epoch && next.number >= TRIES => order.resume,
                _ => Resume::FromStart,
            };
            let less = Order { resume, age: u64::from(epoch) * EC2.epoch, ..order };
            let tried = at(epoch, number);
            prop_assert_eq!(less.after_answer(&EC2, tried, by_id), order.after_answer(&EC2, tried, by_id));
        }

        #[test]
        fn rely_on_a_try_being_of_the_epoch_in_which_its_message_was_taken_up(order in any_order(), seen in any_look()) {
            if let Next::Copy(tried) = order.after_look(&EC2, seen) {
                let epoch = if order.has_own_token { 0 } else { EC2.epoch_at(order.age) };
                prop_assert_eq!(tried.epoch, epoch);
            }
        }
    }
}
