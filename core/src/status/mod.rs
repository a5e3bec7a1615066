//! Status: which AMIs are wanted here, and what became of the copy of each.
//!
//! Pure. The courier lists AMIs as its sweep does and hands each one to the [`Ledger`], which says in which [`State`] it is. The
//! caller's [`StatusRequest`] limits the days and the names; a [`Status`] is one page of the answer.

mod ledger;
mod page;
mod request;
mod row;
mod state;

pub use ledger::Ledger;
pub use page::{NotListed, Status};
pub use request::{Position, StatusRequest, pattern};
pub use row::Row;
pub use state::State;
