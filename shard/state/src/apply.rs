//! Applying one proposal.
use crate::kv::Kv;
use crate::proposal::{Applied, Proposal, Reply};
use zcluster_api::{Error, GroupId};

/// Changes the tables of `group` by the proposal at log position `index`. Domain errors are replies.
pub fn apply(kv: &mut dyn Kv, group: GroupId, index: u64, proposal: &Proposal) -> Applied {
    let _ = (kv, group, index, proposal);
    Applied { reply: Reply::Mailbox(Err(Error::Unavailable("in work".into()))), changed: vec![], effects: vec![] }
}
