//! Recursive loop detection: how often one chain of requests has invoked the function.
//!
//! The count travels in the trace header, as `Lineage=ID:COUNT` (documented: that there is a count in it, and that SDKs pass it on).
//! Lambda puts it into the invocation, the SDK into each call, SQS into the message, and the poller takes it from there.
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>,
//! <https://aws.amazon.com/blogs/compute/detecting-and-stopping-recursive-loops-in-aws-lambda-functions/>

use super::sqs::queue::Message;
use super::world::World;

/// The header by which a call, and the system attribute by which a message, names its trace.
pub(super) const HEADER: &str = "x-amzn-trace-id";

/// How often a chain has invoked a function, as its trace header says.
pub(crate) fn invocations(trace: &str) -> u32 {
    let lineage = trace.split(';').find_map(|part| part.trim().strip_prefix("Lineage="));
    let counts = lineage.into_iter().flat_map(|lineage| lineage.split('|'));
    counts.filter_map(|count| count.rsplit_once(':')?.1.parse().ok()).max().unwrap_or(0)
}

impl World {
    /// Whether Lambda takes these messages for the next round of a loop, and does not invoke the function. Of a batch, the message
    /// counts whose chain is the longest: nobody says how Lambda counts, and this is the worst.
    pub fn is_loop(&self, batch: &[Message]) -> bool {
        let longest = batch.iter().filter_map(|message| message.trace.as_deref()).map(invocations).max();
        self.behaviour.invocations_in_a_chain.zip(longest).is_some_and(|(most, longest)| longest >= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_the_lineage_of_a_trace_header() {
        let root = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0";
        assert_eq!(invocations(root), 0);
        assert_eq!(invocations(""), 0);
        assert_eq!(invocations(&format!("{root};Lineage=a87bd80c:3")), 3);
        assert_eq!(invocations(&format!("{root};Lineage=a87bd80c:1|68fd508a:5|c512fbe3:2")), 5);
        assert_eq!(invocations("Lineage=nonsense"), 0);
    }
}
