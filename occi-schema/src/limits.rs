//! Bounds on what a client may send.

/// Bounds that the parsers hold to; everything beyond them is refused with an error that names the bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest body, in bytes.
    pub body_bytes: usize,
    /// Longest line of a text body, or header field, in bytes.
    pub line_bytes: usize,
    /// Most lines of a text body.
    pub lines: usize,
    /// Longest single value, in bytes.
    pub value_bytes: usize,
    /// Most categories in a request.
    pub categories: usize,
    /// Most attributes of an entity or link.
    pub attributes: usize,
    /// Most links of an entity.
    pub links: usize,
    /// Most entities in one request.
    pub entities: usize,
    /// Most locations in one request.
    pub locations: usize,
    /// Deepest nesting of JSON objects and arrays.
    pub json_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            line_bytes: 256 << 10,
            lines: 4096,
            value_bytes: 128 << 10,
            categories: 64,
            attributes: 256,
            links: 64,
            entities: 100,
            locations: 1024,
            json_depth: 16,
        }
    }
}
