//! Another directory's address list: the same client, asked for contacts. What was found is kept for a minute, and a
//! server that did not answer is not waited for again at once: who types asks with every letter.

use crate::LdapClient;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use zcluster_api::directory::Attributes;
use zcluster_auth::{ExternalError, ExternalServer};
use zcluster_directory::gal::{ExternalBook, ExternalQuery};
use zcluster_runtime::Instant;

/// Bounds.
#[derive(Clone, Copy, Debug)]
pub struct BookConfig {
    /// How long what was found counts.
    pub keep: Duration,
    /// How long a server that did not answer is not asked.
    pub spare: Duration,
    /// Bytes of names and values kept, about.
    pub bytes_max: usize,
    /// Answers kept.
    pub answers_max: usize,
}

impl Default for BookConfig {
    fn default() -> Self {
        BookConfig {
            keep: Duration::from_secs(60),
            spare: Duration::from_secs(10),
            bytes_max: 16 * 1024 * 1024,
            answers_max: 4_096,
        }
    }
}

/// Servers that are spared at most.
const SPARED_MAX: usize = 1_024;

/// Names a question (all of it, the password too) or a server.
type Key = [u8; 32];

/// The way to address lists.
pub struct Book {
    client: Arc<LdapClient>,
    config: BookConfig,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    answers: BTreeMap<Key, Answer>,
    bytes: usize,
    /// Until when, and why.
    spared: BTreeMap<Key, (Instant, String)>,
}

struct Answer {
    since: Instant,
    bytes: usize,
    entries: Arc<Vec<Attributes>>,
}

impl Kept {
    fn get(&mut self, key: &Key, keep: Duration) -> Option<Arc<Vec<Attributes>>> {
        let found = self.answers.get(key)?;
        if found.since.elapsed() < keep {
            return Some(found.entries.clone());
        }
        self.remove(key);
        None
    }

    fn remove(&mut self, key: &Key) {
        if let Some(gone) = self.answers.remove(key) {
            self.bytes -= gone.bytes;
        }
    }

    fn put(&mut self, key: Key, entries: Arc<Vec<Attributes>>, config: &BookConfig) {
        let bytes = entries.iter().map(size).sum();
        self.remove(&key);
        if bytes > config.bytes_max {
            return;
        }
        if self.answers.len() >= config.answers_max || self.bytes + bytes > config.bytes_max {
            let ended: Vec<Key> = self.ended(config.keep);
            ended.iter().for_each(|key| self.remove(key));
        }
        while self.answers.len() >= config.answers_max || self.bytes + bytes > config.bytes_max {
            let Some(oldest) = self.answers.iter().max_by_key(|(_, a)| a.since.elapsed()).map(|(key, _)| *key) else {
                break;
            };
            self.remove(&oldest);
        }
        self.bytes += bytes;
        self.answers.insert(key, Answer { since: Instant::now(), bytes, entries });
    }

    fn ended(&self, keep: Duration) -> Vec<Key> {
        self.answers.iter().filter(|(_, a)| a.since.elapsed() >= keep).map(|(key, _)| *key).collect()
    }
}

/// Bytes of an entry, about.
fn size(attrs: &Attributes) -> usize {
    let of = |a: &zcluster_api::directory::Attribute| {
        2 * a.name.len() + a.values.iter().map(|v| v.len() + size_of::<String>()).sum::<usize>()
    };
    attrs.iter().map(of).sum::<usize>() + size_of::<Attributes>()
}

fn key(of: &impl std::fmt::Debug) -> Key {
    // Debug's quotes keep one field apart from the next.
    *blake3::hash(format!("{of:?}").as_bytes()).as_bytes()
}

impl Book {
    /// Through this client.
    pub fn new(client: Arc<LdapClient>, config: BookConfig) -> Self {
        Book { client, config, kept: Mutex::default() }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn find(&self, query: &ExternalQuery) -> Result<Vec<Attributes>, String> {
        let (whole, server) = (key(query), key(&(&query.urls, query.start_tls)));
        {
            let mut kept = self.kept();
            if let Some(found) = kept.get(&whole, self.config.keep) {
                return Ok(found.as_ref().clone());
            }
            match kept.spared.get(&server) {
                Some((since, why)) if since.elapsed() < self.config.spare => return Err(why.clone()),
                _ => kept.spared.remove(&server),
            };
        }
        let asked = zcluster_auth::ExternalQuery {
            base: query.base.clone(),
            base_only: false,
            filter: query.filter.clone(),
            attributes: query.attributes.clone(),
            limit: query.limit,
        };
        let bind = query.bind.as_ref().map(|(dn, password)| (dn.as_str(), password.as_str()));
        let to = ExternalServer { urls: query.urls.clone(), start_tls: query.start_tls };
        match self.client.first(&to, bind, &asked).await {
            Ok(entries) => {
                let entries: Arc<Vec<Attributes>> = Arc::new(entries.into_iter().map(|e| e.attrs).collect());
                self.kept().put(whole, entries.clone(), &self.config);
                Ok(entries.as_ref().clone())
            }
            Err(error) => {
                let why = error.to_string();
                if matches!(error, ExternalError::Unreachable(_)) {
                    let mut kept = self.kept();
                    if kept.spared.len() >= SPARED_MAX {
                        kept.spared.clear();
                    }
                    kept.spared.insert(server, (Instant::now(), why.clone()));
                }
                Err(why)
            }
        }
    }
}

impl ExternalBook for Book {
    fn look<'a>(&'a self, query: &'a ExternalQuery) -> BoxFuture<'a, Result<Vec<Attributes>, String>> {
        self.find(query).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bytes: usize) -> Arc<Vec<Attributes>> {
        let mut attrs = Attributes::new();
        attrs.set("cn", vec!["x".repeat(bytes)]);
        Arc::new(vec![attrs])
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let config = BookConfig { bytes_max: 10_000, answers_max: 8, ..BookConfig::default() };
        let mut kept = Kept::default();
        for n in 0..100_u32 {
            kept.put(key(&n), entry(100), &config);
            assert!(kept.answers.len() <= 8 && kept.bytes <= 10_000);
        }
        assert!(kept.get(&key(&99), config.keep).is_some() && kept.get(&key(&1), config.keep).is_none());
        kept.put(key(&100), entry(9_000), &config);
        assert!(kept.bytes <= 10_000 && kept.get(&key(&100), config.keep).is_some());
        kept.put(key(&101), entry(20_000), &config);
        assert!(kept.get(&key(&101), config.keep).is_none(), "an answer that is larger than all that is kept");
        assert!(kept.get(&key(&100), Duration::ZERO).is_none() && kept.answers.len() < 8);
        let bytes: usize = kept.answers.values().map(|a| a.bytes).sum();
        assert_eq!(kept.bytes, bytes);
    }
}
