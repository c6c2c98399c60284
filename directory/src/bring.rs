//! Bringing entries in, many at a time: those that are there already as they shall be are passed over, so that an import
//! can be run again at any time and goes on where it stopped.

use crate::access::Wish;
use crate::wanted::{Done, Manner, Outcome, Owner, WANTED_MAX, Wanted};
use crate::{Directory, Failure, changes, fresh_id};
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::directory::{
    Attributes, Filter, Kinds, Modification, ModifyKind, Object, ObjectBy, ObjectKind, SEARCH_PAGE_MAX, Search,
};
use zcluster_api::{AccountId, Actor, DirectoryCommand, DirectoryQuery, DirectoryReply, Error};

/// Commands of one step of the log.
const STEP_COMMANDS: usize = 500;
/// Bytes of values of one step of the log, about; a single entry may be larger.
const STEP_BYTES: usize = 1024 * 1024;
/// Wanted entries looked for by one search.
const TERMS: usize = 50;
/// No client may write them, but whoever brings an entry in brings what is known of it.
const TRUSTED: [&str; 9] = [
    "zimbraMemberOf",
    "zimbraDomainType",
    "zimbraIsACLGroup",
    "zimbraLastLogonTimestamp",
    "zimbraOldMailAddress",
    "zimbraTwoFactorAuthSecret",
    "zimbraTwoFactorAuthScratchCodes",
    "zimbraTwoFactorAuthTrustedDevices",
    "zimbraAppSpecificPassword",
];

/// What is to be done about one entry.
struct Plan {
    outcome: Outcome,
    commands: Vec<DirectoryCommand>,
    bytes: usize,
}

impl Plan {
    fn of(done: Done) -> Plan {
        let outcome = Outcome { done, id: None, why: None, attrs_left: Vec::new() };
        Plan { outcome, commands: Vec::new(), bytes: 0 }
    }
    fn left(why: impl Into<String>) -> Plan {
        let mut plan = Self::of(Done::Left);
        plan.outcome.why = Some(why.into());
        plan
    }
}

impl Directory {
    /// Brings entries in, in their order; what became of each. Attributes that the schema refuses are left out.
    ///
    /// # Errors
    /// More than [`WANTED_MAX`] entries; the directory cannot be read or written: what was not told may have been done,
    /// and the same call again finds out.
    pub async fn bring(&self, actor: Actor, wanted: &[Wanted], manner: Manner) -> Result<Vec<Outcome>, Failure> {
        if wanted.len() > WANTED_MAX {
            return Err(Failure::invalid(format!("more than {WANTED_MAX} entries in one call")));
        }
        let mut out = Vec::with_capacity(wanted.len());
        let mut rest = wanted;
        while let Some(first) = rest.first() {
            // What refers to an entry is looked at when that is there.
            let here = level(first);
            let (now, later) = rest.split_at(rest.iter().take_while(|w| level(w) == here).count());
            out.extend(self.bring_level(actor, now, manner).await?);
            rest = later;
        }
        Ok(out)
    }

    async fn bring_level(&self, actor: Actor, wanted: &[Wanted], manner: Manner) -> Result<Vec<Outcome>, Failure> {
        let there = self.there(wanted).await?;
        let mut owners: BTreeMap<Owner, Result<AccountId, Failure>> = BTreeMap::new();
        let mut plans = Vec::with_capacity(wanted.len());
        for one in wanted {
            let parent = match &one.owner {
                None => None,
                Some(owner) => {
                    if !owners.contains_key(owner) {
                        owners.insert(owner.clone(), self.owner(owner).await);
                    }
                    match &owners[owner] {
                        Ok(id) => Some(*id),
                        // A dry run has not made it.
                        Err(f) if manner.dry_run && f.code.contains("NO_SUCH") => {
                            plans.push(Plan::of(Done::Created));
                            continue;
                        }
                        Err(f) if f.code.contains("NO_SUCH") => {
                            plans.push(Plan::left(format!("what it belongs to is missing: {}", f.text)));
                            continue;
                        }
                        Err(f) => return Err(f.clone()),
                    }
                }
            };
            plans.push(match self.plan(actor, one, parent, &there, manner).await {
                Ok(plan) => plan,
                Err(f) if f.code.starts_with("service.TEMP") || f.code == "service.FAILURE" => return Err(f),
                Err(f) => Plan::left(f.text),
            });
        }
        if !manner.dry_run {
            self.carry_out(&mut plans, wanted).await?;
        }
        Ok(plans.into_iter().map(|p| p.outcome).collect())
    }

    /// Entries with an address or a `zimbraId` that one of the wanted has. Asked for by searches, whose emptiness needs
    /// no second look at the leader, and for some at a time: each entry found is held against each term.
    async fn there(&self, wanted: &[Wanted]) -> Result<Vec<Object>, Failure> {
        let mut out = Vec::new();
        for some in wanted.chunks(TERMS) {
            let mut terms = Vec::new();
            for one in some {
                if one.kind.has_address() || one.kind == ObjectKind::Alias {
                    terms.push(Filter::equal("mail", one.name.to_lowercase()));
                }
                if let Some(id) = &one.id
                    && (one.kind.has_address() || one.kind.has_parent())
                {
                    terms.push(Filter::equal("zimbraId", id.clone()));
                }
            }
            if !terms.is_empty() {
                self.all_that_fit(Filter::Or(terms), &mut out).await?;
            }
        }
        Ok(out)
    }

    async fn all_that_fit(&self, filter: Filter, out: &mut Vec<Object>) -> Result<(), Failure> {
        let kinds = Kinds(Kinds::ALL.0 & !Kinds::of(&[ObjectKind::Domain, ObjectKind::Cos, ObjectKind::Config]).0);
        let mut search = Search { kinds, domain: None, parent: None, filter, after: None, limit: SEARCH_PAGE_MAX };
        loop {
            let page = self.read(DirectoryQuery::Search(Box::new(search.clone()))).await?.into_page()?;
            out.extend(page.objects);
            match page.next {
                Some(next) => search.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn owner(&self, owner: &Owner) -> Result<AccountId, Failure> {
        let by = match owner {
            Owner::Address(address) => ObjectBy::Address(address.clone()),
            Owner::Domain(name) => ObjectBy::Name { kind: ObjectKind::Domain, name: name.clone(), parent: None },
            Owner::Child { owner, kind, name } => {
                let parent = Some(Box::pin(self.owner(owner)).await?);
                ObjectBy::Name { kind: *kind, name: name.clone(), parent }
            }
        };
        self.find(by).await.map(|o| o.id)
    }

    async fn existing(
        &self,
        one: &Wanted,
        parent: Option<AccountId>,
        there: &[Object],
    ) -> Result<Option<Object>, Failure> {
        let id = one.id.as_ref().and_then(|id| id.parse::<AccountId>().ok());
        if let Some(found) = id.and_then(|id| there.iter().find(|o| o.id == id)) {
            return Ok(Some(found.clone()));
        }
        if one.kind.has_address() {
            let has = |o: &&Object| o.attrs.all("mail").iter().any(|m| m.eq_ignore_ascii_case(&one.name));
            return Ok(there.iter().find(has).cloned());
        }
        let by = ObjectBy::Name { kind: one.kind, name: one.name.clone(), parent };
        match self.read(DirectoryQuery::Object(by)).await.and_then(DirectoryReply::into_object) {
            Ok(object) => Ok(Some(object)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    async fn plan(
        &self,
        actor: Actor,
        one: &Wanted,
        parent: Option<AccountId>,
        there: &[Object],
        manner: Manner,
    ) -> Result<Plan, Failure> {
        if one.kind == ObjectKind::Alias {
            return self.alias(actor, one, there, manner).await;
        }
        let existing = self.existing(one, parent, there).await?;
        let none = Attributes::new();
        let now = existing.as_ref().map_or(&none, |o| &o.attrs);
        let (attrs, trusted, left) = checked(one, now);
        let mut plan = match existing {
            Some(object) => self.amend(actor, one, &object, attrs, trusted, manner).await?,
            None if one.must_exist && !manner.dry_run => Plan::left("there is no such entry"),
            None if one.must_exist => Plan::of(Done::Changed),
            None => self.make(actor, one, parent, attrs, trusted).await?,
        };
        plan.bytes = one.bytes();
        plan.outcome.attrs_left = left;
        Ok(plan)
    }

    /// An alias is brought to its target, whose `zimbraId` it names.
    async fn alias(&self, actor: Actor, one: &Wanted, there: &[Object], manner: Manner) -> Result<Plan, Failure> {
        let target = one.attrs.get("zimbraAliasTargetId").and_then(|v| v.first()).and_then(|id| id.parse().ok());
        let target: AccountId = target.ok_or_else(|| Failure::invalid("an alias without a target"))?;
        let has = |o: &&Object| o.attrs.all("mail").iter().any(|m| m.eq_ignore_ascii_case(&one.name));
        if let Some(owner) = there.iter().find(has) {
            let same = owner.id == target;
            let why = || format!("its address belongs to another entry: {}", owner.name);
            return Ok(if same { Plan::of(Done::Same) } else { Plan::left(why()) });
        }
        match self.find(ObjectBy::Id(target)).await {
            Ok(object) if object.kind.has_address() => {
                self.allow(actor, Wish::Alias { object: &object, alias: &one.name, add: true }).await?;
                let mut plan = Plan::of(Done::Created);
                plan.commands.push(DirectoryCommand::AddAlias { id: target, alias: one.name.clone() });
                Ok(plan)
            }
            Err(_) if manner.dry_run => Ok(Plan::of(Done::Created)),
            Err(f) if !f.code.contains("NO_SUCH") => Err(f),
            _ => Ok(Plan::left("its target is missing")),
        }
    }

    async fn make(
        &self,
        actor: Actor,
        one: &Wanted,
        parent: Option<AccountId>,
        attrs: Vec<Modification>,
        trusted: Vec<Modification>,
    ) -> Result<Plan, Failure> {
        let given = one.id.as_ref().and_then(|id| id.parse::<AccountId>().ok());
        let id = given.unwrap_or_else(fresh_id);
        let mut command = self.creation(actor, one.kind, id, &one.name, parent, attrs).await?;
        if let DirectoryCommand::CreateAccount { attrs, .. }
        | DirectoryCommand::CreateDomain { attrs, .. }
        | DirectoryCommand::CreateCos { attrs, .. }
        | DirectoryCommand::CreateEntry { attrs, .. } = &mut command
        {
            // What is told stands in place of what a new entry has by itself: two replacements would be two values.
            attrs.retain(|m| !trusted.iter().any(|t| t.name.eq_ignore_ascii_case(&m.name)));
            attrs.extend(trusted);
            attrs.extend(one.created.iter().map(|at| Modification::set("zimbraCreateTimestamp", at.clone())));
        }
        let mut plan = Plan::of(Done::Created);
        plan.commands.push(command);
        plan.commands.extend(one.aliases.iter().map(|a| DirectoryCommand::AddAlias { id, alias: a.clone() }));
        plan.outcome.id = (one.id.as_ref() != Some(&id.to_string())).then(|| id.to_string());
        Ok(plan)
    }

    async fn amend(
        &self,
        actor: Actor,
        one: &Wanted,
        object: &Object,
        attrs: Vec<Modification>,
        trusted: Vec<Modification>,
        manner: Manner,
    ) -> Result<Plan, Failure> {
        if object.kind != one.kind {
            return Ok(Plan::left(format!("its address or id belongs to another kind of entry: {}", object.name)));
        }
        if !object.name.eq_ignore_ascii_case(&one.name)
            && !matches!(one.kind, ObjectKind::Config | ObjectKind::GlobalGrant)
        {
            return Ok(Plan::left(format!(
                "it is there under another name, or its address is an alias: {}",
                object.name
            )));
        }
        let set = |values: &[String]| values.iter().cloned().collect::<BTreeSet<String>>();
        let local = one.name.split('@').next().unwrap_or_default();
        // LDAP shows these of people that have none.
        let implied = |m: &Modification| {
            matches!(m.name.as_str(), "cn" | "sn") && m.values == [local] && !object.attrs.has(&m.name)
        };
        let differs = |m: &Modification| set(object.attrs.all(&m.name)) != set(&m.values) && !implied(m);
        let attrs: Vec<Modification> = attrs.into_iter().filter(differs).collect();
        let trusted: Vec<Modification> = trusted.into_iter().filter(differs).collect();
        let has = |a: &&String| object.attrs.all("mail").iter().any(|m| m.eq_ignore_ascii_case(a));
        let aliases: Vec<&String> = one.aliases.iter().filter(|a| !has(a)).collect();
        let id = Some(object.id.to_string()).filter(|id| one.id.as_ref().is_some_and(|wanted| wanted != id));
        let mut plan = if attrs.is_empty() && trusted.is_empty() && aliases.is_empty() {
            Plan::of(Done::Same)
        } else if manner.update {
            let mut plan = Plan::of(Done::Changed);
            if !(attrs.is_empty() && trusted.is_empty()) {
                plan.commands.extend(self.change_of(actor, object, attrs, trusted).await?);
            }
            let add = |a: &String| DirectoryCommand::AddAlias { id: object.id, alias: a.clone() };
            plan.commands.extend(aliases.into_iter().map(add));
            plan
        } else {
            let names: Vec<&str> = attrs.iter().chain(&trusted).map(|m| m.name.as_str()).collect();
            Plan::left(format!("it is there with other values: {}", names.join(", ")))
        };
        plan.outcome.id = id;
        Ok(plan)
    }

    async fn carry_out(&self, plans: &mut [Plan], wanted: &[Wanted]) -> Result<(), Failure> {
        let mut step: Vec<(usize, DirectoryCommand)> = Vec::new();
        let mut bytes = 0;
        for at in 0..plans.len() {
            let commands = std::mem::take(&mut plans[at].commands);
            let more = plans[at].bytes;
            if !step.is_empty() && (step.len() + commands.len() > STEP_COMMANDS || bytes + more > STEP_BYTES) {
                self.one_step(std::mem::take(&mut step), plans, wanted).await?;
                bytes = 0;
            }
            bytes += more;
            step.extend(commands.into_iter().map(|c| (at, c)));
        }
        if step.is_empty() { Ok(()) } else { self.one_step(step, plans, wanted).await }
    }

    async fn one_step(
        &self,
        step: Vec<(usize, DirectoryCommand)>,
        plans: &mut [Plan],
        wanted: &[Wanted],
    ) -> Result<(), Failure> {
        let (whose, mut commands): (Vec<usize>, Vec<DirectoryCommand>) = step.into_iter().unzip();
        let mut outcomes = Vec::with_capacity(commands.len());
        while !commands.is_empty() {
            // A single entry may have more aliases than fit a step.
            let rest = commands.split_off(commands.len().min(STEP_COMMANDS));
            outcomes.extend(self.batch(std::mem::replace(&mut commands, rest)).await?);
        }
        for (at, outcome) in whose.into_iter().zip(outcomes) {
            let Some(error) = outcome else { continue };
            let plan = &mut plans[at];
            let why = Failure::of(&error, wanted[at].kind, &wanted[at].name).text;
            // What follows from the first failure need not be told.
            if plan.outcome.why.is_none() {
                (plan.outcome.done, plan.outcome.why) = (Done::Left, Some(why));
            }
        }
        Ok(())
    }
}

/// The wanted attributes in the form to propose, those that bypass the schema, and those that are left with the reason.
#[allow(clippy::type_complexity)]
fn checked(one: &Wanted, now: &Attributes) -> (Vec<Modification>, Vec<Modification>, Vec<(String, String)>) {
    let (mut good, mut trusted, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for (name, values) in &one.attrs {
        let change = |values: Vec<String>| Modification { name: name.clone(), kind: ModifyKind::Replace, values };
        if TRUSTED.iter().any(|t| t.eq_ignore_ascii_case(name)) {
            trusted.push(change(values.clone()));
            continue;
        }
        if name.eq_ignore_ascii_case("userPassword") && values.iter().any(|v| !is_hash(v)) {
            left.push((name.clone(), "a password that is not hashed".into()));
            continue;
        }
        match changes::modifications(one.kind, now, vec![change(values.clone())]) {
            Ok(change) => good.extend(change),
            Err(f) if values.len() < 2 || f.text.contains("single-valued") => left.push((name.clone(), f.text)),
            Err(_) => {
                // One value may be bad and others good.
                let mut kept: Vec<String> = Vec::new();
                for value in values {
                    match changes::modifications(one.kind, now, vec![change(vec![value.clone()])]) {
                        Ok(mut checked) => kept.extend(checked.pop().map(|m| m.values).unwrap_or_default()),
                        Err(f) => left.push((name.clone(), f.text)),
                    }
                }
                good.extend((!kept.is_empty()).then(|| change(kept)));
            }
        }
    }
    (good, trusted, left)
}

/// How many entries must be there before this one can be looked at.
fn level(wanted: &Wanted) -> usize {
    fn above(owner: &Owner) -> usize {
        match owner {
            Owner::Address(_) | Owner::Domain(_) => 1,
            Owner::Child { owner, .. } => 1 + above(owner),
        }
    }
    match &wanted.owner {
        Some(owner) => above(owner),
        None => usize::from(wanted.kind == ObjectKind::Alias || wanted.must_exist),
    }
}

/// Whether a `userPassword` is a hash: `{SCHEME}...` (RFC 2307), or argon2's own form.
pub(crate) fn is_hash(value: &str) -> bool {
    value.starts_with("$argon2") || value.strip_prefix('{').is_some_and(|rest| rest.find('}').is_some_and(|at| at > 0))
}
