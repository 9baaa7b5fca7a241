//! The limit: the same web server with the same number of workers, which answers every request with the same bytes.
//! It runs in a process of its own, as the broker does.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use actix_web::{App, HttpResponse, HttpServer, http::StatusCode, web};

use crate::{broker::Broker, wire};

/// A running peer.
pub struct Peer {
    child: Child,
    pub address: SocketAddr,
}

impl Peer {
    /// Answers as the broker answers the GET of one compute: header fields and length are the same.
    pub fn start(broker: &Broker) -> Self {
        let file = broker.scratch().join("answer");
        std::fs::write(&file, broker.sample()).expect("a file in the scratch directory");
        let own = std::env::current_exe().expect("the path of this program");
        let mut child = Command::new(own)
            .arg("--peer")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the peer, which is this program");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its first line");
        let address = line.trim().parse().expect("the peer's address");
        Self { child, address }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves the answer in the file until the process is ended.
pub fn serve(file: &Path) {
    let answer = std::fs::read(file).expect("the answer to be given");
    let head = wire::head(&answer).ok().flatten().expect("a whole answer");
    let fields = String::from_utf8(answer[..head.body_at].to_vec()).expect("fields of text");
    let fields: Vec<(String, String)> = fields
        .trim_end()
        .split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        // The server writes these two itself.
        .filter(|(name, _)| !name.eq_ignore_ascii_case("content-length") && !name.eq_ignore_ascii_case("date"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let body = bytes::Bytes::copy_from_slice(&answer[head.body_at..]);
    let answer = web::Data::new((fields, body));
    let serving = async move {
        let server = HttpServer::new(move || {
            App::new().app_data(answer.clone()).default_service(web::route().to(
                |answer: web::Data<(Vec<(String, String)>, bytes::Bytes)>, _request_body: bytes::Bytes| async move {
                    let mut response = HttpResponse::build(StatusCode::OK);
                    for (name, value) in &answer.0 {
                        response.insert_header((name.as_str(), value.as_str()));
                    }
                    response.body(answer.1.clone())
                },
            ))
        })
        .bind(("127.0.0.1", 0))
        .expect("a free port");
        println!("{}", server.addrs()[0]);
        server.run().await
    };
    // As in the broker: the workers have runtimes of their own.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(serving).expect("the peer to serve");
}
