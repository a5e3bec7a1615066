//! Status: which AMIs are wanted here, and what became of the copy of each.
//!
//! Pure. The courier lists AMIs as its sweep does and hands each one to the [`Ledger`], which says in which state it is. The
//! caller's [`StatusRequest`](crate::announcement::StatusRequest) limits the days and the names; a [`Status`] is one page of the answer.

mod ledger;
mod page;
mod row;

pub use ledger::Ledger;
pub use page::{NotListed, Status};
pub use row::{Parameter, Row};
