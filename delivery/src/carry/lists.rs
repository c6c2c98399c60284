//! Lists: a message for one becomes a message for its members, in the queue, so that each member is tried by itself
//! until he has it and the sender hears of those who never will.

use super::{Failure, local};
use crate::deliverer::Deliverer;
use crate::plan::{on_its_way, went_round};
use crate::submit::{RECIPIENTS_MAX, Submission};
use std::collections::BTreeSet;
use zcluster_api::delivery::OutgoingKind;
use zcluster_api::directory::Object;
use zcluster_api::queue::{Notify, RecipientTerms};
use zcluster_api::{Error, Letter};
use zcluster_directory::{Directory, Sender};

/// Sets the keys of what goes to members apart from other uses of BLAKE3.
const KEY_CONTEXT: &str = "zcluster list: letter, list, part; v1";

/// Puts the message into the queue for the members, nested ones included, each once; who is a recipient of the same
/// message by himself gets it as that.
pub(super) async fn spread(
    deliverer: &Deliverer,
    letter: &Letter,
    recipient: &str,
    list: &Object,
) -> Result<(), Failure> {
    let message = &letter.message;
    if list.attrs.get("zimbraMailStatus") == Some("disabled") {
        return Err(Failure::permanent("5.2.1", "the list is closed"));
    }
    if went_round(&letter.raw, std::slice::from_ref(&list.name)) {
        return Err(Failure::permanent("5.4.6", "the message was sent to this list before: a mail loop"));
    }
    let directory = Directory::nearby(deliverer.directory().clone());
    let unclear = |e: zcluster_directory::Failure| Failure::near("4.3.0", e.to_string());
    let sender = match message.kind {
        OutgoingKind::Submitted => Some(Sender::Trusted(&message.sender)),
        // Asked when it was taken in.
        OutgoingKind::Relayed => None,
        _ => Some(Sender::Stranger(&message.sender)),
    };
    if let Some(sender) = sender
        && !directory.may_send_to(sender, list).await.map_err(unclear)?
    {
        return Err(Failure::permanent("5.7.1", "you may not write to this list"));
    }
    let members = match directory.members_of(list, true).await {
        Ok(members) => members,
        // RFC 3463 §3.3: mailing list expansion problem.
        Err(e) if e.code == "service.TOO_MANY" => return Err(Failure::permanent("5.2.4", e.text)),
        Err(e) => return Err(unclear(e)),
    };
    let direct: BTreeSet<String> = message.recipients.iter().map(|r| r.to_lowercase()).collect();
    let terms = message.terms.as_deref();
    // RFC 3461 §5.2.7.3: the list is where the message arrived; of members only failures are told.
    let asked = terms.and_then(|t| t.of(recipient)).and_then(|r| r.notify);
    let notify = asked.map(|n| if n.contains(Notify::FAILURE) { Notify::FAILURE } else { Notify::NEVER });
    let to: Vec<RecipientTerms> = members
        .into_iter()
        .filter(|m| !direct.contains(&m.address))
        .map(|m| RecipientTerms { address: m.address, orcpt: None, notify })
        .collect();
    let raw = on_its_way(&letter.raw, &list.name);
    for (part, to) in to.chunks(RECIPIENTS_MAX).enumerate() {
        let mut hasher = blake3::Hasher::new_derive_key(KEY_CONTEXT);
        hasher.update(&local::name(letter));
        hasher.update(&list.id.0);
        hasher.update(&(part as u64).to_le_bytes());
        let key = *hasher.finalize().as_bytes();
        let submission = Submission {
            // Sent on for somebody else: to other hosts under an address of ours (SRS).
            kind: OutgoingKind::Redirect,
            recipients: to.to_vec(),
            ret: terms.and_then(|t| t.ret),
            envid: terms.and_then(|t| t.envid.clone()),
            smtputf8: terms.is_some_and(|t| t.smtputf8),
            require_tls: terms.is_some_and(|t| t.require_tls),
            body: terms.map(|t| t.body).unwrap_or_default(),
            ..Submission::new(None, message.sender.clone(), [], raw.clone(), key)
        };
        deliverer.submit(submission).await.map_err(|e| refused(&e))?;
    }
    metrics::counter!("zcluster_list_members_total").increment(to.len() as u64);
    tracing::info!(list = %list.name, members = to.len(), "list expanded");
    Ok(())
}

fn refused(error: &Error) -> Failure {
    match error {
        Error::Invalid(text) => Failure::permanent("5.2.4", text.clone()),
        other => Failure::near("4.3.0", other.to_string()),
    }
}
