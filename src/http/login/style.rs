//! How pages look. It is part of the program: no file is looked up by a name that somebody sends.

use actix_web::{HttpResponse, http::header};

const STYLE: &str = include_str!("../../../templates/style.css");

/// The only file.
pub async fn show() -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.content_type("text/css; charset=utf-8").insert_header((header::CACHE_CONTROL, "max-age=3600"));
    response.body(STYLE)
}
