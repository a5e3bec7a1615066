//! The rules of the protocol, each broken once. The model must find what goes wrong.

/// A broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    // What proves that an AMI is dead.
    NotFoundIsDead,
    EmptyIsDead,
    UnavailableIsDead,
    // What a token is made of.
    TokenOfWholeCall,
    TokenWithoutTry,
    TokenWithoutEpoch,
    /// Of a request: its tags are neither sorted in the token nor on the wire.
    TagsUnsortedInToken,
    // Durations.
    NoQuietTime,
    QuietTimeTooShort,
    DelayShorterThanVisibility,
    MemoryShorterThanEpoch,
    // Looks.
    DisabledCopiesNotSeen,
    HintWithoutLook,
    /// Somebody else's pending copy is the answer: no second look.
    ForeignPendingIsAnswer,
    // Families.
    SiblingDoesNotWait,
    /// A sibling looks for copies of its own only.
    SiblingLooksAlone,
    /// The copy of a sibling does not record the origin, so that a look for the origin's copies does not show it.
    OriginNotRecorded,
    // Messages.
    MismatchIsSuccess,
    /// A message is acknowledged though its second look could not be sent.
    SecondLookNotSent,
    /// A sweep is acknowledged though its announcement could not be sent.
    SweepsAnnouncementNotSent,
    /// The hint of a request's failed copy counts for announcements.
    RequestsHintForAnnouncements,
    /// A failed copy is a dead letter only if its event arrived, not if a sweep found it.
    NoLetterWhenSwept,
    /// The letter of a message whose tries are spent does not name the next try.
    SpentLetterWithoutTry,
    // Chains of messages.
    /// The letter at the end of a chain names the next try, as if the try before was dead.
    LastLetterHasNextTry,
    /// A chain ends in success, also where no sweep goes on.
    EndOfChainIsSuccess,
    /// The letter at the end of a chain begins no new one.
    LastLetterKeepsHops,
    /// A chain is shorter than an epoch's tries.
    ChainTooShort,
}
