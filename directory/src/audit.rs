//! What administrators did, for reports: an event of tracing target `audit` for each change that was made.
//!
//! Reports (who did what lately) are made from the log, which a site keeps as long as it must; the directory keeps no
//! history of its own.

use zcluster_api::Actor;
use zcluster_api::directory::{Modification, ModifyKind, Object};

/// Attributes named in one event.
const NAMED_MAX: usize = 50;
/// Characters shown of a value.
const VALUE_CHARS: usize = 200;

/// Who it was: `admin ID`, `account ID`, `system` (commands on a node itself).
fn who(actor: Actor) -> String {
    match actor {
        Actor::Admin(id) => format!("admin {id}"),
        Actor::Account(id) => format!("account {id}"),
        Actor::Delivery => "delivery".into(),
        Actor::System => "system".into(),
    }
}

/// A change to an entry was made.
pub(crate) fn changed(actor: Actor, what: &str, target: &Object, changes: &[Modification]) {
    done(actor, what, &format!("{:?} {}", target.kind, target.name), &attributes(changes));
}

/// Something was done.
pub(crate) fn done(actor: Actor, what: &str, target: &str, detail: &str) {
    tracing::info!(target: "audit", who = %who(actor), what, on = %target, detail, "directory changed");
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
