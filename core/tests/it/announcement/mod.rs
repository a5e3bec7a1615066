//! What each message says, in any envelope, and what is rejected.

mod corpus;
mod hostile;
mod own;
mod request;
mod shapes;
