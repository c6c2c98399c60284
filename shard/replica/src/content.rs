//! Text conditions of a search, with the parsing of the mail crate.
use zcluster_api::{Error, Result, SearchExpr};
use zcluster_state::{Candidate, Content};

/// Looks into headers and bodies.
#[derive(Default)]
pub(crate) struct MailContent;

impl Content for MailContent {
    fn matches(&self, _leaf: &SearchExpr, _candidate: &Candidate<'_>) -> Result<bool> {
        Err(Error::Unavailable("text search".into()))
    }
}
