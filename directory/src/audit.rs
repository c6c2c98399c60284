//! What administrators did, for reports: an event of tracing target `audit` for each change that was made.
//!
//! Reports (who did what lately) are made from the log, which a site keeps as long as it must; the directory keeps no
//! history of its own.

use crate::Directory;
use zcluster_api::Actor;
use zcluster_api::directory::{Modification, ModifyKind, Object};

/// Attributes named in one event.
const NAMED_MAX: usize = 50;
/// Characters shown of a value.
const VALUE_CHARS: usize = 200;

impl Directory {
    /// A change to an entry was made.
    pub(crate) async fn audit_changed(&self, actor: Actor, what: &str, target: &Object, changes: &[Modification]) {
        self.audit_done(actor, what, &format!("{:?} {}", target.kind, target.name), &attributes(changes)).await;
    }

    /// Something was done.
    pub(crate) async fn audit_done(&self, actor: Actor, what: &str, target: &str, detail: &str) {
        if tracing::enabled!(target: "audit", tracing::Level::INFO) {
            let who = self.who_did(actor).await;
            tracing::info!(target: "audit", %who, what, on = %target, detail, "directory changed");
        }
    }

    /// Who it was: `admin ID (ADDRESS)`, `account ID (ADDRESS)` (a delegated administrator, or a user), `system` (commands on a
    /// node itself).
    async fn who_did(&self, actor: Actor) -> String {
        let (word, id) = match actor {
            Actor::Admin(id) => ("admin", id),
            Actor::Account(id) => ("account", id),
            Actor::Delivery => return "delivery".into(),
            Actor::System => return "system".into(),
        };
        match self.account(id).await {
            Ok(Some(account)) => format!("{word} {id} ({})", account.name),
            _ => format!("{word} {id}"),
        }
    }
}

/// Changes as zmprov would write them; of secrets only that they changed.
fn attributes(changes: &[Modification]) -> String {
    let mut out: Vec<String> = changes.iter().take(NAMED_MAX).map(attribute).collect();
    if changes.len() > NAMED_MAX {
        out.push(format!("and {} more", changes.len() - NAMED_MAX));
    }
    out.join("; ")
}

fn attribute(change: &Modification) -> String {
    let sign = match change.kind {
        ModifyKind::Replace => "",
        ModifyKind::Add | ModifyKind::Increment => "+",
        ModifyKind::Remove | ModifyKind::Take => "-",
    };
    if zcluster_schema::is_secret(&change.name) {
        return format!("{sign}{} (secret)", change.name);
    }
    let values: Vec<String> = change.values.iter().take(NAMED_MAX).map(|v| shown(v)).collect();
    let more = change.values.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("{sign}{}={}{more}", change.name, values.join(","))
}

fn shown(value: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    value.chars().map(plain).take(VALUE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_told() {
        let add = Modification { kind: ModifyKind::Add, ..Modification::set("displayName", "A\nB") };
        let all = [add, Modification::set("userPassword", "hush"), Modification::set("sn", "x".repeat(300))];
        let text = attributes(&all);
        assert!(text.starts_with("+displayName=A B; userPassword (secret); sn=xxx"), "{text}");
        assert!(!text.contains("hush") && text.len() < 300);
    }
}
