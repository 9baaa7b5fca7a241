//! The doors. Parse, call the broker, render: no rule lives here.

mod address;
mod authorization;
mod challenge;
mod events;
mod health;
mod image;
mod keystone;
mod limit;
mod login;
mod marketplace;
mod metrics;
mod occi;
mod principal;
mod quota;
mod request_id;
mod sites;
mod tls;

use std::{io, net::TcpListener, time::Duration};

use actix_web::{
    App, HttpResponse, HttpServer,
    dev::Server,
    http::{StatusCode, header},
    middleware::{DefaultHeaders, from_fn},
    web,
};
pub use address::Addresses;
pub use login::Doors;
pub use metrics::Figures;
pub use tls::config as tls_config;
use tokio_util::sync::CancellationToken;

use crate::{broker::Broker, login::gate::Gate};

/// Largest request body, in bytes. User data is the largest thing that a client sends.
const BODY_LIMIT: usize = 1 << 20;
/// A client that has not sent its headers by then is not waited for.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// Longer than clients and proxies keep an idle connection: who closes first should be them, since a request that
/// crosses the server's closing is lost.
const KEEP_ALIVE: Duration = Duration::from_secs(120);
const SHUTDOWN_SECONDS: u64 = 5;
/// A client that takes nothing of what is there for it for so long is gone, or might as well be.
const STALLED: Duration = Duration::from_secs(60);

/// On every response: OCCI wants the versions there (GFD.223 section 5.3, GFD.222 rule R0402).
const SERVER: &str = concat!("tombolo/", env!("CARGO_PKG_VERSION"), " OCCI/1.2 OCCI/1.1 OCCI-CRTP/1.1");

/// What is behind the doors.
pub struct Rooms {
    /// The broker.
    pub broker: Broker,
    /// Who is let in by what they show.
    pub gate: Gate,
    /// Who is let in by a browser.
    pub doors: Doors,
    /// Figures about this process.
    pub figures: Figures,
}

/// Where clients come in.
pub struct Entrance {
    /// A bound socket.
    pub listener: TcpListener,
    /// Names and proxies that are believed.
    pub addresses: Addresses,
    /// By what TLS is spoken, if it is.
    pub tls: Option<rustls::ServerConfig>,
}

/// The server; it runs when it is awaited. The token says that it is going to end.
///
/// # Errors
/// The socket cannot be used.
pub fn server(rooms: Rooms, entrance: Entrance, shutdown: &CancellationToken) -> io::Result<Server> {
    // rOCCI 4 asks for its own, older JSON wherever it reads that JSON is taken.
    let accepted = if rooms.broker.announces_json() {
        "text/plain, text/occi, text/uri-list, application/occi+json"
    } else {
        "text/plain, text/occi, text/uri-list"
    };
    let Entrance { listener, addresses, tls } = entrance;
    give_up_on_stalled(&listener, STALLED)?;
    let shared = Shared::new(rooms, addresses, shutdown);
    let server = HttpServer::new(move || {
        App::new()
            .wrap(DefaultHeaders::new().add((header::SERVER, SERVER)).add((header::ACCEPT, accepted)))
            .wrap(from_fn(login::dress))
            .wrap(from_fn(address::by_name))
            .wrap(from_fn(request_id::follow))
            .configure(|app| shared.furnish(app))
    });
    let server = server
        .disable_signals()
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEADER_TIME)
        .tls_handshake_timeout(HEADER_TIME)
        .shutdown_timeout(SHUTDOWN_SECONDS);
    Ok(match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    }
    .run())
}

/// What all workers have in common.
#[derive(Clone)]
struct Shared {
    broker: web::Data<Broker>,
    gate: web::Data<Gate>,
    doors: web::Data<Doors>,
    addresses: web::Data<Addresses>,
    consumers: web::Data<events::Consumers>,
    limits: web::Data<authorization::Limits>,
    strangers: web::Data<marketplace::Strangers>,
    figures: web::Data<Figures>,
    shutdown: web::Data<CancellationToken>,
}

impl Shared {
    fn new(rooms: Rooms, addresses: Addresses, shutdown: &CancellationToken) -> Self {
        Self {
            broker: web::Data::new(rooms.broker),
            gate: web::Data::new(rooms.gate),
            doors: web::Data::new(rooms.doors),
            addresses: web::Data::new(addresses),
            consumers: web::Data::new(events::Consumers::default()),
            limits: web::Data::new(authorization::Limits::default()),
            strangers: web::Data::new(marketplace::Strangers::default()),
            figures: web::Data::new(rooms.figures),
            shutdown: web::Data::new(shutdown.clone()),
        }
    }

    /// All doors, and what is behind them.
    fn furnish(&self, app: &mut web::ServiceConfig) {
        app.app_data(self.broker.clone())
            .app_data(self.gate.clone())
            .app_data(self.doors.clone())
            .app_data(self.addresses.clone())
            .app_data(self.consumers.clone())
            .app_data(self.limits.clone())
            .app_data(self.strangers.clone())
            .app_data(self.figures.clone())
            .app_data(self.shutdown.clone())
            .app_data(web::PayloadConfig::new(BODY_LIMIT))
            .configure(authorization::routes)
            .configure(login::routes)
            .configure(image::routes)
            .configure(marketplace::routes)
            .route("/healthz", web::route().to(health::alive))
            .route("/readyz", web::route().to(health::ready))
            .route("/quota", web::route().to(quota::door))
            .service(web::resource(["/sites", "/sites/", "/sites/{name}"]).to(sites::door))
            .route("/events", web::route().to(events::door))
            .route("/metrics", web::route().to(metrics::door))
            .service(web::resource([keystone::PATH, "/keystone/{below:.*}"]).to(keystone::door))
            // OCCI's paths come from the model, not from a table: one door looks them up.
            .default_service(web::route().to(occi::door));
    }
}

/// Lets the kernel end connections that are accepted here when the peer acknowledges nothing, or has no room for
/// anything, for so long. The server itself does not look at a connection that it cannot write to.
fn give_up_on_stalled(listener: &TcpListener, after: Duration) -> io::Result<()> {
    let milliseconds = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
    rustix::net::sockopt::set_tcp_user_timeout(listener, milliseconds)?;
    Ok(())
}

/// An answer of a door that does not speak OCCI.
fn plain(status: StatusCode, text: impl Into<String>) -> HttpResponse {
    HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(text.into())
}

fn not_allowed(methods: &'static str) -> HttpResponse {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, format!("allowed are {methods}\n"));
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(methods));
    response
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, io::Write, net::TcpStream, sync::Arc};

    use tokio::sync::Notify;

    use super::*;

    /// Says when it is dropped.
    struct Dropped(Arc<Notify>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }

    #[actix_web::test]
    async fn who_takes_nothing_is_let_go() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        give_up_on_stalled(&listener, Duration::from_millis(500)).unwrap();
        let gone = Arc::new(Notify::new());
        let endless = {
            let gone = Arc::clone(&gone);
            move || {
                let held = Dropped(Arc::clone(&gone));
                async move {
                    let body = futures_util::stream::repeat_with(move || {
                        let _held = &held;
                        Ok::<_, Infallible>(web::Bytes::from_static(&[b'x'; 16 << 10]))
                    });
                    HttpResponse::Ok().streaming(body)
                }
            }
        };
        let server = HttpServer::new(move || App::new().default_service(web::route().to(endless.clone())))
            .workers(1)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run();
        let handle = server.handle();
        let running = tokio::spawn(server);
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        // The client is there, and reads nothing.
        gone.notified().await;
        handle.stop(false).await;
        running.await.unwrap().unwrap();
        drop(client);
    }
}
