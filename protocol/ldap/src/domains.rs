//! The names of all domains, from which the upper part of the tree is drawn.

use crate::back_end::{Directory, Failure};
use crate::config::{DOMAINS_MAX, DOMAINS_TTL};
use parking_lot::Mutex;
use std::sync::Arc;
use zcluster_api::Actor;
use zcluster_api::directory::{Filter, Kinds, ObjectKind, SEARCH_PAGE_MAX, Search};
use zcluster_runtime::Instant;

/// Remembers the list for a moment.
#[derive(Default)]
pub struct Domains(Mutex<Option<(Instant, Arc<Names>)>>);

/// Names of domains, sorted.
#[derive(Debug, Default)]
pub struct Names(Vec<String>);

impl Domains {
    /// The names that `actor` may see. What the cluster itself sees is remembered for a moment; what others see is not.
    ///
    /// # Errors
    /// The directory's, or there are too many.
    pub async fn names(&self, directory: &dyn Directory, actor: Actor) -> Result<Arc<Names>, Failure> {
        let whole = matches!(actor, Actor::System | Actor::Admin(_));
        if let Some((at, names)) = &*self.0.lock()
            && whole
            && at.elapsed() < DOMAINS_TTL
        {
            return Ok(names.clone());
        }
        let mut names = Vec::new();
        let mut after = None;
        loop {
            let kinds = Kinds::of(&[ObjectKind::Domain]);
            let search =
                Search { kinds, domain: None, parent: None, filter: Filter::all(), after, limit: SEARCH_PAGE_MAX };
            let page = directory.search(actor, search).await?;
            names.extend(page.objects.into_iter().map(|o| o.name));
            if names.len() > DOMAINS_MAX {
                return Err(Failure::new("account.TOO_MANY_SEARCH_RESULTS", "too many domains to draw a tree of"));
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        names.sort_unstable();
        names.dedup();
        let names = Arc::new(Names(names));
        if whole {
            *self.0.lock() = Some((Instant::now(), names.clone()));
        }
        Ok(names)
    }

    /// Domains have changed.
    pub fn forget(&self) {
        *self.0.lock() = None;
    }
}

impl Names {
    /// All, in order.
    pub fn all(&self) -> &[String] {
        &self.0
    }
    /// Whether there is such a domain.
    pub fn has(&self, name: &str) -> bool {
        self.0.binary_search_by(|n| n.as_str().cmp(name)).is_ok()
    }
    /// Whether there is one below that name.
    pub fn below(&self, name: &str) -> bool {
        self.0.iter().any(|n| is_below(n, name))
    }
    /// The parts of names that stand directly below `name` (empty: at the top).
    pub fn next_below(&self, name: &str) -> Vec<String> {
        let mut out = Vec::new();
        for n in self.0.iter().filter(|n| name.is_empty() || is_below(n, name)) {
            let rest = if name.is_empty() { n.as_str() } else { &n[..n.len() - name.len() - 1] };
            let label = rest.rsplit('.').next().unwrap_or(rest);
            let next = if name.is_empty() { label.to_string() } else { format!("{label}.{name}") };
            if out.last() != Some(&next) {
                out.push(next);
            }
        }
        out.sort_unstable();
        out.dedup();
        out
    }
    /// Every part of a name that is no domain itself: `com` of `example.com`.
    pub fn parts(&self) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for name in &self.0 {
            let mut rest = name.as_str();
            while let Some((_, above)) = rest.split_once('.') {
                if !self.has(above) {
                    out.push(above.to_string());
                }
                rest = above;
            }
        }
        out.sort_unstable();
        out.dedup();
        out
    }
}

fn is_below(name: &str, above: &str) -> bool {
    name.strip_suffix(above).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_tree() {
        let mut names: Vec<String> =
            ["example.com", "a.example.com", "b.c.example.com", "other.org", "local"].map(String::from).to_vec();
        names.sort();
        let names = Names(names);
        assert_eq!(names.next_below(""), ["com", "local", "org"]);
        assert_eq!(names.next_below("example.com"), ["a.example.com", "c.example.com"]);
        assert_eq!(names.parts(), ["c.example.com", "com", "org"]);
        assert!(names.has("local") && names.below("com") && !names.below("ample.com") && !names.below("local"));
    }
}
