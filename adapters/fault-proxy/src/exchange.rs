use bytes::Bytes;

/// A request as it came to the proxy.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// Whole, wherever the request's line said it: `http://127.0.0.1:8774/v2.1/servers?limit=2`.
    pub target: String,
    /// Names as they came, and values.
    pub headers: Vec<(String, String)>,
    /// All of it.
    pub body: Bytes,
}

impl Request {
    /// The value of a header, whose name may be written in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// `127.0.0.1:8774`.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.target_parts().0
    }

    /// `/v2.1/servers`, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        let rest = self.target_parts().1;
        rest.split_once('?').map_or(rest, |(path, _)| path)
    }

    /// Authority, and path with query.
    pub(crate) fn target_parts(&self) -> (&str, &str) {
        let rest = self.target.strip_prefix("http://").unwrap_or(&self.target);
        rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash))
    }
}

/// An answer, of the service or instead of its own.
#[derive(Debug, Clone)]
pub struct Answer {
    /// `200`.
    pub status: u16,
    /// Names as they came, and values; never how long the body is, which follows from it.
    pub headers: Vec<(String, String)>,
    /// All of it, without any transfer coding.
    pub body: Bytes,
}

impl Answer {
    /// A body of this media type.
    #[must_use]
    pub fn new(status: u16, media_type: &str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("content-type".into(), media_type.into())], body: body.into() }
    }

    /// What a gateway or a service in trouble says: the status, and a line of text.
    #[must_use]
    pub fn trouble(status: u16) -> Self {
        Self::new(status, "text/plain", format!("trouble to order: {status}\n"))
    }

    /// The value of a header, whose name may be written in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// As it is sent, the connection to be closed after it.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} to order\r\n", self.status);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n", self.body.len()));
        [text.as_bytes(), &self.body].concat()
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
