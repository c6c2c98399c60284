//! Which filters run for an account, and keeping them compiled.

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use zcluster_api::AccountId;
use zcluster_api::delivery::FilterView;
use zcluster_api::directory::{Account, Attributes};
use zcluster_sieve::{Limits, Script};

/// A mailbox's own scripts, as they were at a version.
#[derive(Clone, Debug, Default)]
pub(crate) struct MailboxScripts {
    /// Goes into the command, which is refused if it is not the version any more.
    pub version: u64,
    /// The active one's name.
    pub active: Option<String>,
    /// All of them.
    pub texts: BTreeMap<String, Bytes>,
}

impl MailboxScripts {
    pub fn of(view: FilterView) -> Self {
        let texts = view.scripts.into_iter().map(|s| (s.name, s.source)).collect();
        MailboxScripts { version: view.version, active: view.active, texts }
    }

    /// The active script's text.
    pub fn active(&self) -> Option<(&str, &Bytes)> {
        let (name, source) = self.texts.get_key_value(self.active.as_ref()?)?;
        Some((name, source))
    }

    fn bytes(&self) -> usize {
        self.texts.iter().map(|(name, source)| name.len() + source.len()).sum::<usize>() + 200
    }
}

/// The filters of administrators around the user's own (`zimbraAdminSieveScriptBefore`, `...After`): the account's,
/// else its COS's, else its domain's; and the script that a site which comes from Zimbra has in the directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub before: Option<Bytes>,
    pub after: Option<Bytes>,
    /// `zimbraMailSieveScript`: the user's own as long as no script of the mailbox is active.
    pub own: Option<Bytes>,
    /// What `include :global` finds, by name (RFC 6609 §3.2): `zclusterSieveScriptGlobal` of the domain, of the COS and of
    /// the account, each value `name:script`; of one name the nearest counts.
    pub global: Arc<BTreeMap<String, Bytes>>,
}

/// Scripts for everybody to include, from the values of one entry. What is not `name:script` is none.
fn global_scripts(attrs: &Attributes) -> impl Iterator<Item = (String, Bytes)> + '_ {
    let values = attrs.all("zclusterSieveScriptGlobal").iter();
    values.filter_map(|value| {
        let (name, script) = value.split_once(':')?;
        let name = name.trim();
        (!name.is_empty()).then(|| (name.to_string(), Bytes::copy_from_slice(script.trim_start().as_bytes())))
    })
}

impl Rules {
    pub fn of(account: &Account, domain: Option<&Attributes>) -> Self {
        let text = |name: &str| {
            let found = account.effective(name).or_else(|| domain.and_then(|d| d.get(name)));
            found.filter(|t| !t.trim().is_empty()).map(|t| Bytes::copy_from_slice(t.as_bytes()))
        };
        Rules {
            global: Arc::new(
                [domain, account.cos.as_deref(), Some(&account.attrs)]
                    .into_iter()
                    .flatten()
                    .flat_map(global_scripts)
                    .collect(),
            ),
            before: text("zimbraAdminSieveScriptBefore"),
            after: text("zimbraAdminSieveScriptAfter"),
            own: account
                .attrs
                .get("zimbraMailSieveScript")
                .filter(|t| !t.trim().is_empty())
                .map(|t| Bytes::copy_from_slice(t.as_bytes())),
        }
    }
}

/// Two generations of a map: what was not used during a whole generation goes. Cheap, bounded, and without a clock.
struct Generations<K, V> {
    young: BTreeMap<K, V>,
    old: BTreeMap<K, V>,
    bytes: usize,
    max: usize,
}

impl<K: Ord + Copy, V: Clone> Generations<K, V> {
    fn new(max: usize) -> Self {
        Generations { young: BTreeMap::new(), old: BTreeMap::new(), bytes: 0, max: max / 2 }
    }

    fn get(&mut self, key: &K, bytes: impl Fn(&V) -> usize) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.put(*key, value.clone(), bytes(&value));
        Some(value)
    }

    fn put(&mut self, key: K, value: V, bytes: usize) {
        if self.bytes + bytes > self.max {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.old.remove(&key);
        self.bytes += bytes;
        self.young.insert(key, value);
    }
}

/// A compiled script, or why it does not compile.
pub(crate) type Compiled = Arc<Result<Script, String>>;

/// What is known of mailboxes' scripts, and compiled scripts by the hash of their text.
pub(crate) struct Cache {
    mailboxes: Mutex<Generations<AccountId, Arc<MailboxScripts>>>,
    compiled: Mutex<Generations<[u8; 32], (Compiled, usize)>>,
    limits: Limits,
}

impl Cache {
    /// Keeps about so many bytes.
    pub fn new(bytes: usize) -> Self {
        let (mailboxes, compiled) = (Generations::new(bytes / 2), Generations::new(bytes / 2));
        Cache { mailboxes: Mutex::new(mailboxes), compiled: Mutex::new(compiled), limits: Limits::default() }
    }

    pub fn mailbox(&self, account: AccountId) -> Option<Arc<MailboxScripts>> {
        self.mailboxes.lock().get(&account, |s| s.bytes())
    }

    pub fn learned(&self, account: AccountId, scripts: Arc<MailboxScripts>) {
        let bytes = scripts.bytes();
        self.mailboxes.lock().put(account, scripts, bytes);
    }

    /// Compiles a text, or remembers what came of it before.
    pub fn compile(&self, source: &Bytes) -> Compiled {
        let key = *blake3::hash(source).as_bytes();
        if let Some((compiled, _)) = self.compiled.lock().get(&key, |(_, bytes)| *bytes) {
            return compiled;
        }
        let result = zcluster_sieve::compile(source, &self.limits)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        let compiled: Compiled = Arc::new(result);
        // A syntax tree takes several times its text.
        let bytes = source.len() * 8 + 500;
        self.compiled.lock().put(key, (compiled.clone(), bytes), bytes);
        compiled
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_forget_what_is_not_used() {
        let mut map = Generations::new(20);
        map.put(1, "one", 5);
        map.put(2, "two", 5);
        map.put(3, "three", 5);
        assert_eq!(map.get(&1, |_| 5), Some("one"), "from the old generation");
        map.put(4, "four", 5);
        map.put(5, "five", 5);
        assert_eq!(map.get(&2, |_| 5), None, "not used for a generation");
        assert_eq!(map.get(&1, |_| 5), Some("one"));
        assert_eq!(map.young.len() + map.old.len(), 3, "bounded");
    }
}
