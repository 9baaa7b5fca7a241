//! The driver's HTTP interface, for a broker on this host or another one.
//!
//! On a Unix socket the file system says who may come in; over TCP a bearer token does.

mod answers;
mod image;
mod network;
mod packing;
mod request;
mod routes;
mod volume;

use std::{
    fs::{self, Permissions},
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    os::{
        fd::AsRawFd,
        unix::{
            fs::{FileTypeExt, PermissionsExt},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use actix_web::{App, HttpServer, middleware, web};
use tokio_util::sync::CancellationToken;

use crate::{Driver, NodeError, machine_directory::make_private};

/// Threads that parse and answer; the driver's work happens elsewhere.
const WORKERS: usize = 2;
const MOST_CONNECTIONS: usize = 256;
/// Ends of requests under way when the door closes.
const CLOSING_SECONDS: u64 = 5;

/// Where the door is.
#[derive(Clone)]
pub enum Listen {
    /// A socket of this host. Its directory is made, for the owner alone, if it is missing.
    Unix(PathBuf),
    /// The network, without encryption: for a private network, or behind a proxy that encrypts.
    Tcp {
        /// Address and port; port 0 takes any free one.
        address: SocketAddr,
        /// What a caller must know: at least 16 characters.
        token: String,
    },
}

/// A door that is there, but not open yet: connections wait.
pub struct Door {
    driver: Driver,
    listener: Listener,
}

enum Listener {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener, SocketAddr, Arc<str>),
}

/// Who may come in, known to every request.
#[derive(Clone)]
enum Guard {
    /// Whoever could open the socket; such a caller is on this host.
    Host,
    /// Whoever knows the token.
    Token(Arc<str>),
}

impl Door {
    /// Takes the address.
    ///
    /// # Errors
    /// [`NodeError::File`] when the socket cannot be made, [`NodeError::Refused`] when a TCP address is taken or the
    /// token is too weak, [`NodeError::DataDirectoryTaken`] when another driver listens on the socket.
    pub fn bind(driver: Driver, listen: Listen) -> Result<Self, NodeError> {
        let listener = match listen {
            Listen::Unix(path) => Listener::Unix(bind_unix(&path)?, path),
            Listen::Tcp { address, token } => {
                if token.len() < 16 {
                    return Err(NodeError::Refused("the node's token is shorter than 16 characters".into()));
                }
                let refused = |error| NodeError::Refused(format!("cannot listen on {address}: {error}"));
                let listener = TcpListener::bind(address).map_err(refused)?;
                let address = listener.local_addr().map_err(refused)?;
                Listener::Tcp(listener, address, token.into())
            }
        };
        Ok(Self { driver, listener })
    }

    /// The TCP address, if it is one.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.listener {
            Listener::Unix(..) => None,
            Listener::Tcp(_, address, _) => Some(*address),
        }
    }

    /// Serves until `shutdown`, then lets requests under way end. The driver stays open.
    ///
    /// # Errors
    /// [`NodeError::Internal`] when the server breaks.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), NodeError> {
        let driver = web::Data::new(self.driver);
        let guard = web::Data::new(match &self.listener {
            Listener::Unix(..) => Guard::Host,
            Listener::Tcp(_, _, token) => Guard::Token(Arc::clone(token)),
        });
        let broken = |error: std::io::Error| NodeError::Internal(format!("the node's door: {error}"));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(driver.clone())
                .app_data(guard.clone())
                .wrap(middleware::from_fn(routes::admit))
                // The last one wraps all others: a refused caller is told its id too.
                .wrap(middleware::from_fn(request::name))
                .configure(routes::all)
        })
        .workers(WORKERS)
        .max_connections(MOST_CONNECTIONS)
        // Longer than the adapter keeps an idle connection: a request that crosses the closing of one is lost.
        .keep_alive(Duration::from_secs(120))
        .client_request_timeout(Duration::from_secs(10))
        .shutdown_timeout(CLOSING_SECONDS)
        .disable_signals();
        let (server, socket) = match self.listener {
            Listener::Unix(listener, path) => (server.listen_uds(listener).map_err(broken)?, Some(path)),
            Listener::Tcp(listener, ..) => (server.listen(listener).map_err(broken)?, None),
        };
        let server = server.run();
        let handle = server.handle();
        let stop = async {
            shutdown.cancelled().await;
            handle.stop(true).await;
        };
        let (served, ()) = tokio::join!(
            async {
                let served = server.await;
                // A server that broke by itself must not wait for the shutdown.
                shutdown.cancel();
                served
            },
            stop
        );
        if let Some(socket) = socket {
            // A socket file without a listener is replaced at the next start anyway.
            let _ = fs::remove_file(socket);
        }
        served.map_err(broken)
    }
}

/// [`Door::bind`], then [`Door::serve`].
///
/// # Errors
/// As those.
pub async fn serve(driver: Driver, listen: Listen, shutdown: CancellationToken) -> Result<(), NodeError> {
    Door::bind(driver, listen)?.serve(shutdown).await
}

/// A socket for the owner alone, in place of one whose driver is dead.
fn bind_unix(path: &Path) -> Result<UnixListener, NodeError> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(NodeError::Refused(format!("{} is no path for a socket", path.display())));
    };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    make_private(directory)?;
    // A socket's address holds at most 107 bytes; through a descriptor the directory's own length does not count.
    let opened = fs::File::open(directory).map_err(NodeError::file("open", directory))?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd())).join(name);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Ok(found) if !found.file_type().is_socket() => {
            return Err(NodeError::Refused(format!("{} exists and is no socket: move it away", path.display())));
        }
        _ if UnixStream::connect(&short).is_ok() => {
            return Err(NodeError::DataDirectoryTaken(path.to_owned()));
        }
        _ => fs::remove_file(path).map_err(NodeError::file("remove", path))?,
    }
    let listener = UnixListener::bind(&short).map_err(NodeError::file("listen on", path))?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(NodeError::file("protect", path))?;
    Ok(listener)
}
