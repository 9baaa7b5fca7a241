//! The OCCI door.

use serde::Deserialize;

/// The OCCI door.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OcciConfig {
    /// The host name in the schemes of our own categories, `http://occi.<authority>/occi/…`. Changing it changes the
    /// identity of every template.
    pub authority: String,
    /// The appliance of a compute that names none; the first published one when empty.
    pub default_appliance: String,
    /// `https://cloud.school.example`, when a proxy stands in front; what the client called the server when empty.
    pub public_url: String,
    /// Serves the OGF's documents to the letter where deployed clients expect something else.
    pub strict: bool,
    /// Leaves out what OCCI 1.2 has dropped: `occi.compute.speed`, and the storage actions backup, snapshot and resize.
    pub only_1_2: bool,
    /// Names `application/occi+json` in the `Accept` field of answers. rOCCI 4 takes that for its own, older JSON.
    pub announce_json: bool,
    /// Beginnings of the `User-Agent` of clients that take 410, the answer for what was deleted, for a failure: they hear
    /// 404 instead.
    pub never_gone_for: Vec<String>,
    /// Speaks the JSON of rOCCI 4 instead of the standard's.
    pub legacy_json: bool,
}

impl Default for OcciConfig {
    fn default() -> Self {
        Self {
            authority: "tombolo.local".into(),
            default_appliance: String::new(),
            public_url: String::new(),
            strict: false,
            only_1_2: false,
            announce_json: false,
            // pOCCI, whose own name does not show.
            never_gone_for: vec!["PycURL".into()],
            legacy_json: false,
        }
    }
}
