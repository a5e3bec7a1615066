//! AWS on loopback: EC2, SSM, `EventBridge` and SQS behind one port, so that the real function, the AWS CLI
//! and boto3 can be run and broken without an account.
//!
//! It is faithful where the promise of ami-courier depends on it (names, client tokens, states, what a
//! deregistered AMI looks like, what fails only later) and leaves the rest of AWS out.
//!
//! - [`World`] is all the state and all the rules. It is pure: no network, no real time unless asked for.
//! - The server only translates: the credential scope of a request's signature says which service and Region
//!   are meant, its access key id which account (see [`account_of`]). Signatures are not verified.
//! - [`Fault`] and [`Chaos`] break calls on purpose; [`Call`] is the record of each one.

mod behaviour;
mod call;
mod clock;
mod digest;
mod ec2;
mod error;
mod events;
mod fault;
mod kms;
mod region;
mod server;
mod sqs;
mod ssm;
mod wire;
mod world;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use behaviour::{Behaviour, ForgottenAs, SnapshotIdsAt};
pub use call::{Call, Caller};
pub use clock::START;
pub use ec2::image::{Image, ImageState, LaunchPermission, Protection, Reference, StateReason};
pub use ec2::snapshot::{Snapshot, SnapshotState};
pub use error::ApiError;
pub use events::PutEvent;
pub use fault::{Chaos, Effect, Fault};
pub use kms::{Key, default_key_arn};
pub use sqs::{Attribute, Message, Queue};
pub use ssm::Parameter;
pub use wire::account_of;
pub use world::{Fate, World};

/// The account of every access key id that does not name another one.
pub const ACCOUNT: &str = "123456789012";

/// A running embedded AWS. Clones share it; it stops when the last one is dropped.
#[derive(Clone)]
pub struct Aws {
    world: Arc<Mutex<World>>,
    server: Arc<Server>,
}

struct Server {
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Aws {
    /// Starts on a free port of the loopback interface, with an empty [`World`].
    ///
    /// # Errors
    /// Those of binding a socket.
    pub async fn start() -> io::Result<Aws> {
        Aws::start_on(0).await
    }

    /// Starts on this port of the loopback interface (0: any free one).
    ///
    /// # Errors
    /// Those of binding a socket: most likely the port is taken.
    pub async fn start_on(port: u16) -> io::Result<Aws> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let port = listener.local_addr()?.port();
        let world = Arc::new(Mutex::new(World::default()));
        let task = tokio::spawn(server::serve(listener, Arc::clone(&world)));
        Ok(Aws { world, server: Arc::new(Server { port, task }) })
    }

    /// The endpoint for clients, such as `http://127.0.0.1:4566`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port)
    }

    /// The world, up to date with its clock. Calls wait while the guard is held: never hold it across an await.
    pub fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }
}

/// A test that panicked while it held the world must not hide its message behind a poisoned lock.
fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
    world.settle();
    world
}
