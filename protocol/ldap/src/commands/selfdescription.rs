//! The root DSE and the subschema, which everybody may read.

use super::bind::EXTERNAL;
use crate::codec::filter::Filter;
use crate::codec::reply::{self, Extras};
use crate::codec::request::{Scope, Search};
use crate::errors::{Outcome, Stop};
use crate::schema::{RootDse, SUBSCHEMA_DN, root_dse, subschema};
use crate::session::{Done, Session};
use crate::tree::Place;
use zcluster_api::Actor;

/// Trees that the root DSE names.
const CONTEXTS_MAX: usize = 1_000;

/// Answers a search for one of the two; nothing if it is for something else.
pub async fn answer(session: &mut Session, id: u32, search: &Search, place: Option<&Place>) -> Option<Done> {
    match (place, search.scope) {
        (Some(Place::Root), Scope::Base) => Some(root(session, id, search).await),
        (Some(Place::Subschema), Scope::Base | Scope::Sub) => Some(schema(session, id, search).await),
        (Some(Place::Subschema), Scope::One | Scope::Children) => Some(Ok((Outcome::success(), Extras::default()))),
        _ => None,
    }
}

async fn root(session: &mut Session, id: u32, search: &Search) -> Done {
    let mut naming_contexts = vec!["cn=zimbra".to_string()];
    if let Some(who) = &session.who {
        // Which domains there are is nobody's business who has not signed in.
        let names = session.ldap.domains.names(&*session.ldap.directory, Actor::System).await?;
        let own = who.domain();
        let tops = names.next_below("").into_iter().filter(|top| own.is_none_or(|d| d.ends_with(top.as_str())));
        naming_contexts.extend(tops.take(CONTEXTS_MAX).map(|top| format!("dc={top}")));
    }
    let mut mechanisms = session.ldap.authenticator.mechanisms(&session.channel());
    if !session.conn.client_addresses().is_empty() {
        mechanisms.insert(0, EXTERNAL);
    }
    let dse = RootDse {
        naming_contexts,
        mechanisms,
        start_tls: session.conn.can_start_tls(),
        version: session.ldap.config.version.clone(),
    };
    tell(session, id, search, "", &root_dse(&dse)).await
}

async fn schema(session: &mut Session, id: u32, search: &Search) -> Done {
    let schema = subschema();
    let list = |all: &[&str]| all.iter().map(|s| (*s).to_string()).collect::<Vec<_>>();
    let attributes = [
        ("objectClass", list(&["top", "subentry", "subschema", "extensibleObject"]), false),
        ("cn", list(&["Subschema"]), false),
        ("attributeTypes", schema.attribute_types.clone(), true),
        ("objectClasses", schema.object_classes.clone(), true),
        ("matchingRules", schema.matching_rules.clone(), true),
        ("ldapSyntaxes", schema.syntaxes.clone(), true),
    ];
    tell(session, id, search, SUBSCHEMA_DN, &attributes).await
}

/// Sends the entry if it fits; its attributes compare by their text.
async fn tell(session: &mut Session, id: u32, search: &Search, dn: &str, all: &[(&str, Vec<String>, bool)]) -> Done {
    if fits(&search.filter, all) == Some(true) {
        let has = |word: &str| search.attributes.iter().any(|a| a == word);
        let (none, every) = (search.attributes.is_empty() || has("*"), has("+"));
        let wanted = |name: &str, operational: bool| {
            // These two are read by people with plain `ldapsearch -b ''`: all of it is shown unless they chose.
            none || operational && every || search.attributes.iter().any(|a| a.eq_ignore_ascii_case(name))
        };
        let entry = reply::entry(id, dn, &[], |w| {
            for (name, values, operational) in all.iter().filter(|(name, _, op)| wanted(name, *op)) {
                let _ = operational;
                let none = if search.types_only { 0 } else { usize::MAX };
                reply::attribute(w, name, values.iter().take(none));
            }
        });
        session.conn.write(&entry).await.map_err(Stop::from)?;
    }
    Ok((Outcome::success(), Extras::default()))
}

fn fits(filter: &Filter, all: &[(&str, Vec<String>, bool)]) -> Option<bool> {
    let values = |attr: &str| all.iter().find(|(name, ..)| name.eq_ignore_ascii_case(attr)).map(|(_, v, _)| v);
    match filter {
        Filter::And(parts) => {
            let found: Vec<Option<bool>> = parts.iter().map(|p| fits(p, all)).collect();
            if found.contains(&Some(false)) {
                Some(false)
            } else {
                found.into_iter().collect::<Option<Vec<_>>>().map(|_| true)
            }
        }
        Filter::Or(parts) => {
            let found: Vec<Option<bool>> = parts.iter().map(|p| fits(p, all)).collect();
            if found.contains(&Some(true)) {
                Some(true)
            } else {
                found.into_iter().collect::<Option<Vec<_>>>().map(|_| false)
            }
        }
        Filter::Not(one) => fits(one, all).map(|f| !f),
        Filter::Present(attr) => Some(values(attr).is_some_and(|v| !v.is_empty())),
        Filter::Equal(attr, value) | Filter::Approx(attr, value) => {
            Some(values(attr)?.iter().any(|v| v.as_bytes().eq_ignore_ascii_case(value)))
        }
        _ => None,
    }
}
