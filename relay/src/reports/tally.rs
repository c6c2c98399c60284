//! What is counted for the reports of a day, on this node, in memory and in a file.

use mail_auth::dmarc::URI;
use mail_auth::report::tlsrpt::{FailureDetails, Policy, PolicyDetails, Summary};
use mail_auth::report::{PolicyPublished, Record};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zcluster_runtime::wall_ms;

/// Domains of a day; what concerns others is not counted.
const DOMAINS_MAX: usize = 50_000;
/// Policies of one domain in a day (each host of DANE may have one).
const POLICIES_MAX: usize = 16;
/// Kinds of failures told of one policy; those beyond it are in the sum only.
const FAILURES_MAX: usize = 100;
/// Rows (source, alignment, results) of a day's DMARC reports, and of one domain's.
const ROWS_MAX: usize = 50_000;
const ROWS_PER_DOMAIN_MAX: usize = 5_000;
/// Bytes of one row.
const ROW_BYTES_MAX: usize = 4_096;
/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What was counted for one domain's DMARC report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DmarcCounts {
    /// The policy as it was found last.
    pub policy: PolicyPublished,
    /// Where the domain wants reports.
    pub rua: Vec<URI>,
    /// A [`Record`] without its count, as JSON, and the count.
    pub rows: BTreeMap<String, u32>,
    /// Messages for which there was no room.
    pub left_out: u64,
}

/// A message that was looked at.
#[derive(Clone, Debug)]
pub struct DmarcSeen {
    /// The policy; its domain is whom the report is for.
    pub policy: PolicyPublished,
    /// Where the domain wants reports.
    pub rua: Vec<URI>,
    /// What was found.
    pub record: Record,
}

/// A day.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Day {
    #[serde(default)]
    tls: BTreeMap<String, Vec<Policy>>,
    #[serde(default)]
    dmarc: BTreeMap<String, DmarcCounts>,
}

/// What there is to be said to one domain about one day.
#[derive(Clone, Debug)]
pub enum Due {
    /// RFC 8460.
    Tls(Vec<Policy>),
    /// RFC 7489 §7.2.
    Dmarc(DmarcCounts),
}

impl Due {
    /// `tls` or `dmarc`.
    pub fn kind(&self) -> Kind {
        match self {
            Due::Tls(_) => Kind::Tls,
            Due::Dmarc(_) => Kind::Dmarc,
        }
    }
}

/// Kinds of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// How TLS went (RFC 8460).
    Tls,
    /// What came in a domain's name (RFC 7489).
    Dmarc,
}

/// A report that is being counted for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Days since 1970, UTC.
    pub day: u64,
    /// What about.
    pub kind: Kind,
    /// Whom for.
    pub domain: String,
    /// Sessions that were well, or messages that passed.
    pub good: u64,
    /// The others.
    pub bad: u64,
}

/// Counts of this node. What was counted since [`Tally::save`] is lost when the node dies.
#[derive(Debug)]
pub struct Tally {
    days: Mutex<BTreeMap<u64, Day>>,
    file: Option<PathBuf>,
    changed: AtomicBool,
}

/// The day that it is, UTC.
pub fn today() -> u64 {
    wall_ms() / DAY_MS
}

impl Tally {
    /// One that is kept nowhere.
    pub fn in_memory() -> Arc<Tally> {
        Arc::new(Tally { days: Mutex::default(), file: None, changed: AtomicBool::new(false) })
    }

    /// One that goes on where the file ends. A file that cannot be understood is put aside: reports are worth less than a
    /// node that starts.
    ///
    /// # Errors
    /// A file that cannot be read or put aside.
    pub fn open(file: PathBuf) -> std::io::Result<Arc<Tally>> {
        let days = match std::fs::read(&file) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(days) => days,
                Err(error) => {
                    let aside = file.with_extension("broken");
                    tracing::warn!(file = %file.display(), aside = %aside.display(), %error, "counts for reports are unreadable: begun anew");
                    std::fs::rename(&file, aside)?;
                    BTreeMap::new()
                }
            },
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(e) => return Err(e),
        };
        Ok(Arc::new(Tally { days: Mutex::new(days), file: Some(file), changed: AtomicBool::new(false) }))
    }

    /// Writes what changed; the file is always a whole one.
    ///
    /// # Errors
    /// The disk's.
    pub fn save(&self) -> std::io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        if !self.changed.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        // The lock is not held while the text is made.
        let days = self.days.lock().clone();
        let bytes = serde_json::to_vec(&days).map_err(std::io::Error::other)?;
        write(file, &bytes).inspect_err(|_| self.changed.store(true, Ordering::Release))
    }

    fn changed(&self) {
        self.changed.store(true, Ordering::Release);
    }

    /// A session that was secret and proved what it should.
    pub fn tls_success(&self, policy: &PolicyDetails) {
        self.tls(policy, |counts| counts.summary.total_success = counts.summary.total_success.saturating_add(1));
    }

    /// A session that was not, or a policy that could not be had.
    pub fn tls_failure(&self, policy: &PolicyDetails, failure: FailureDetails) {
        self.tls(policy, |counts| {
            counts.summary.total_failure = counts.summary.total_failure.saturating_add(1);
            let same = |f: &&mut FailureDetails| {
                **f == FailureDetails { failed_session_count: f.failed_session_count, ..failure.clone() }
            };
            let room = counts.failure_details.len() < FAILURES_MAX;
            match counts.failure_details.iter_mut().find(same) {
                Some(found) => found.failed_session_count = found.failed_session_count.saturating_add(1),
                None if room => {
                    counts.failure_details.push(FailureDetails { failed_session_count: 1, ..failure });
                }
                None => {}
            }
        });
    }

    fn tls(&self, policy: &PolicyDetails, count: impl FnOnce(&mut Policy)) {
        let mut days = self.days.lock();
        let domains = &mut days.entry(today()).or_default().tls;
        if domains.len() >= DOMAINS_MAX && !domains.contains_key(&policy.policy_domain) {
            metrics::counter!("zcluster_reports_uncounted_total", "kind" => "tls").increment(1);
            return;
        }
        let policies = domains.entry(policy.policy_domain.clone()).or_default();
        let at = policies.iter().position(|p| p.policy == *policy);
        let at = match at {
            Some(at) => at,
            None if policies.len() < POLICIES_MAX => {
                let summary = Summary { total_success: 0, total_failure: 0 };
                policies.push(Policy { policy: policy.clone(), summary, failure_details: Vec::new() });
                policies.len() - 1
            }
            // A domain that changes its policy with every session.
            None => {
                metrics::counter!("zcluster_reports_uncounted_total", "kind" => "tls").increment(1);
                return;
            }
        };
        count(&mut policies[at]);
        self.changed();
    }

    /// A message was judged by its author's domain's policy.
    pub fn dmarc(&self, seen: DmarcSeen) {
        let Ok(row) = serde_json::to_string(&Record {
            row: mail_auth::report::Row { count: 0, ..seen.record.row },
            ..seen.record
        }) else {
            return;
        };
        let mut days = self.days.lock();
        let domains = &mut days.entry(today()).or_default().dmarc;
        let domain = seen.policy.domain.clone();
        if domains.len() >= DOMAINS_MAX && !domains.contains_key(&domain) {
            metrics::counter!("zcluster_reports_uncounted_total", "kind" => "dmarc").increment(1);
            return;
        }
        let rows = |domains: &BTreeMap<String, DmarcCounts>| domains.values().map(|d| d.rows.len()).sum::<usize>();
        let known = domains.get(&domain).is_some_and(|d| d.rows.contains_key(&row));
        let room = known || (rows(domains) < ROWS_MAX && row.len() <= ROW_BYTES_MAX);
        let empty = || DmarcCounts { policy: seen.policy.clone(), rua: Vec::new(), rows: BTreeMap::new(), left_out: 0 };
        let counts = domains.entry(domain).or_insert_with(empty);
        (counts.policy, counts.rua) = (seen.policy, seen.rua);
        let room = room && counts.rows.len() < ROWS_PER_DOMAIN_MAX;
        match counts.rows.get_mut(&row) {
            Some(count) => *count = count.saturating_add(1),
            None if room => {
                counts.rows.insert(row, 1);
            }
            None => counts.left_out += 1,
        }
        self.changed();
    }

    /// The first day for which there are counts.
    pub fn oldest_day(&self) -> Option<u64> {
        self.days.lock().keys().next().copied()
    }

    /// What is being counted.
    pub fn pending(&self) -> Vec<Pending> {
        let mut all = Vec::new();
        for (day, counts) in &*self.days.lock() {
            for (domain, policies) in &counts.tls {
                let sum = |f: fn(&Summary) -> u32| policies.iter().map(|p| u64::from(f(&p.summary))).sum();
                let (good, bad) = (sum(|s| s.total_success), sum(|s| s.total_failure));
                all.push(Pending { day: *day, kind: Kind::Tls, domain: domain.clone(), good, bad });
            }
            for (domain, dmarc) in &counts.dmarc {
                let (mut good, mut bad) = (0, dmarc.left_out);
                for (record, count) in dmarc.records() {
                    let passed = [record.dmarc_dkim_result(), record.dmarc_spf_result()];
                    let passed = passed.contains(&mail_auth::report::DmarcResult::Pass);
                    *(if passed { &mut good } else { &mut bad }) += u64::from(count);
                }
                all.push(Pending { day: *day, kind: Kind::Dmarc, domain: domain.clone(), good, bad });
            }
        }
        all
    }

    /// Takes what is to be said; [`Tally::put_back`] undoes it.
    pub fn take(&self, pending: &Pending) -> Option<Due> {
        let mut days = self.days.lock();
        let day = days.get_mut(&pending.day)?;
        let due = match pending.kind {
            Kind::Tls => day.tls.remove(&pending.domain).map(Due::Tls),
            Kind::Dmarc => day.dmarc.remove(&pending.domain).map(Due::Dmarc),
        };
        if day.tls.is_empty() && day.dmarc.is_empty() {
            days.remove(&pending.day);
        }
        self.changed();
        due
    }

    /// For what could not be sent now. What was counted meanwhile is added to it.
    pub fn put_back(&self, pending: &Pending, due: Due) {
        let mut days = self.days.lock();
        let day = days.entry(pending.day).or_default();
        match due {
            Due::Tls(policies) => {
                let kept = day.tls.entry(pending.domain.clone()).or_default();
                for policy in policies {
                    merge_tls(kept, policy);
                }
            }
            Due::Dmarc(counts) => match day.dmarc.get_mut(&pending.domain) {
                Some(kept) => {
                    for (row, count) in counts.rows {
                        *kept.rows.entry(row).or_default() += count;
                    }
                    kept.left_out += counts.left_out;
                }
                None => {
                    day.dmarc.insert(pending.domain.clone(), counts);
                }
            },
        }
        self.changed();
    }

    /// Today's counts of a domain, for tests.
    #[cfg(test)]
    pub fn tls_of(&self, domain: &str) -> Vec<Policy> {
        self.days.lock().get(&today()).and_then(|day| day.tls.get(domain).cloned()).unwrap_or_default()
    }
}

impl DmarcCounts {
    /// The rows.
    pub fn records(&self) -> impl Iterator<Item = (Record, u32)> + '_ {
        self.rows.iter().filter_map(|(row, count)| Some((serde_json::from_str(row).ok()?, *count)))
    }
}

fn merge_tls(kept: &mut Vec<Policy>, policy: Policy) {
    let Some(found) = kept.iter_mut().find(|p| p.policy == policy.policy) else {
        kept.push(policy);
        return;
    };
    found.summary.total_success = found.summary.total_success.saturating_add(policy.summary.total_success);
    found.summary.total_failure = found.summary.total_failure.saturating_add(policy.summary.total_failure);
    for failure in policy.failure_details {
        let same = |f: &&mut FailureDetails| {
            **f == FailureDetails { failed_session_count: f.failed_session_count, ..failure.clone() }
        };
        match found.failure_details.iter_mut().find(same) {
            Some(f) => f.failed_session_count = f.failed_session_count.saturating_add(failure.failed_session_count),
            None => found.failure_details.push(failure),
        }
    }
}

fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let new = file.with_extension("new");
    let mut out = std::fs::File::create(&new)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    std::fs::rename(new, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_auth::report::ActionDisposition;
    use mail_auth::report::tlsrpt::{PolicyType, ResultType};

    fn seen(ip: &str) -> DmarcSeen {
        let record = Record::new()
            .with_source_ip(ip.parse().unwrap())
            .with_action_disposition(ActionDisposition::Reject)
            .with_header_from("a.example");
        let policy = PolicyPublished { domain: "a.example".into(), ..PolicyPublished::default() };
        DmarcSeen { policy, rua: vec![URI { uri: "r@a.example".into(), max_size: 0 }], record }
    }

    #[test]
    fn counts_survive_the_file_and_a_failed_sending() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("reports.json");
        let tally = Tally::open(file.clone()).unwrap();
        let policy = PolicyDetails::new(PolicyType::Tlsa, "a.example");
        tally.tls_success(&policy);
        tally.tls_failure(&policy, FailureDetails::new(ResultType::TlsaInvalid));
        ["192.0.2.1", "192.0.2.1", "2001:db8::1"].into_iter().for_each(|ip| tally.dmarc(seen(ip)));
        tally.save().unwrap();
        let again = Tally::open(file.clone()).unwrap();
        let pending = again.pending();
        assert_eq!(pending, tally.pending());
        let told: Vec<_> = pending.iter().map(|p| (p.kind, p.good, p.bad)).collect();
        assert_eq!(told, [(Kind::Tls, 1, 1), (Kind::Dmarc, 0, 3)]);

        for p in &pending {
            let due = again.take(p).unwrap();
            assert!(again.take(p).is_none());
            again.dmarc(seen("192.0.2.1"));
            again.tls_failure(&policy, FailureDetails::new(ResultType::TlsaInvalid));
            again.put_back(p, due);
        }
        let told: Vec<_> = again.pending().iter().map(|p| (p.kind, p.good, p.bad)).collect();
        assert_eq!(told, [(Kind::Tls, 1, 3), (Kind::Dmarc, 0, 5)]);
        let Some(Due::Dmarc(counts)) = again.take(&again.pending()[1]) else { panic!("DMARC counts") };
        let rows: Vec<_> = counts.records().map(|(r, n)| (r.source_ip().unwrap().to_string(), n)).collect();
        assert_eq!(rows, [("192.0.2.1".to_string(), 4), ("2001:db8::1".to_string(), 1)]);

        std::fs::write(&file, b"{ not JSON").unwrap();
        assert!(Tally::open(file.clone()).unwrap().pending().is_empty());
        assert!(file.with_extension("broken").exists());
    }

    #[test]
    fn what_has_no_room_is_still_in_the_sum() {
        let tally = Tally::in_memory();
        let policy = PolicyDetails::new(PolicyType::Sts, "a.example");
        for n in 0..FAILURES_MAX + 5 {
            let failure = FailureDetails::new(ResultType::ValidationFailure).with_failure_reason_code(n.to_string());
            tally.tls_failure(&policy, failure);
        }
        for n in 0..POLICIES_MAX + 5 {
            let mut other = policy.clone();
            other.policy_string = vec![n.to_string()];
            tally.tls_success(&other);
        }
        let found = tally.tls_of("a.example");
        assert_eq!(found.len(), POLICIES_MAX);
        assert_eq!(found[0].failure_details.len(), FAILURES_MAX);
        assert_eq!(found[0].summary.total_failure as usize, FAILURES_MAX + 5);
        for n in 0..ROWS_PER_DOMAIN_MAX as u32 + 7 {
            tally.dmarc(seen(&std::net::Ipv4Addr::from(n).to_string()));
        }
        let dmarc = tally.pending().into_iter().find(|p| p.kind == Kind::Dmarc).unwrap();
        assert_eq!(dmarc.bad as usize, ROWS_PER_DOMAIN_MAX + 7);
    }
}
