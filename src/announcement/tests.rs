//! Every shape in every envelope.
