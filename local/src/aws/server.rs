//! The embedded AWS as a server: one port on loopback.
//!
//! It uses hyper without a framework: a framework always answers, and a dropped connection must have no answer.

use std::io;
use std::sync::{Arc, MutexGuard};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::exchange::answer;
use super::shared::SharedWorld;
use super::world::World;

/// A running embedded AWS. Clones share it; it stops when the last one is dropped.
#[derive(Clone)]
pub struct Aws {
    world: SharedWorld,
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
        let world = SharedWorld::default();
        let task = tokio::spawn(serve(listener, world.clone()));
        Ok(Aws { world, server: Arc::new(Server { port, task }) })
    }

    /// The endpoint for clients, such as `http://127.0.0.1:4566`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port)
    }

    /// The world, up to date with its clock. Calls wait while the guard is held: never hold it across an await.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock()
    }
}

/// Serves until the task is aborted; its connections end with it.
async fn serve(listener: TcpListener, world: SharedWorld) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(serve_connection(stream, world.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, world: SharedWorld) {
    // Small answers must not wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(world.clone(), request));
    // It fails when a fault drops the connection, or the client closes it. Neither is an error of the server.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
