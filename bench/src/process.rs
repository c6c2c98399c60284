//! CPU time and memory of a server: all processes below the given ones, read from `/proc`.

use std::collections::BTreeMap;
use std::fs;

/// The processes of a server.
pub struct Watch {
    roots: Vec<u32>,
}

/// One line of `/proc/PID/stat`, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// User and system time of the process and of its children that have ended, in clock ticks.
    ticks: u64,
}

impl Watch {
    /// Watches these processes and whatever they start.
    pub fn new(pids: &[u32]) -> Self {
        Self { roots: pids.to_vec() }
    }

    /// Whether there is nothing to watch.
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// CPU seconds spent so far by all of them. A child that ended is counted in its parent, so nothing gets lost
    /// with servers that start a process for each connection.
    pub fn cpu_seconds(&self) -> f64 {
        let stats = if self.roots.is_empty() { BTreeMap::new() } else { read_all() };
        let ticks: u64 = self.tree(&stats).into_iter().filter_map(|pid| stats.get(&pid)).map(|s| s.ticks).sum();
        ticks as f64 / ticks_per_second()
    }

    /// Memory of all of them in KiB: proportional set size, so that pages shared by several are counted once.
    pub fn memory_kib(&self) -> u64 {
        let stats = read_all();
        self.tree(&stats).into_iter().map(memory_of).sum()
    }

    fn tree(&self, stats: &BTreeMap<u32, Stat>) -> Vec<u32> {
        let mut found = self.roots.clone();
        let mut at = 0;
        while at < found.len() {
            let parent = found[at];
            let children = stats.iter().filter(|(_, stat)| stat.parent == parent).map(|(pid, _)| *pid);
            let new: Vec<u32> = children.filter(|pid| !found.contains(pid)).collect();
            found.extend(new);
            at += 1;
        }
        found
    }
}

fn read_all() -> BTreeMap<u32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| Some((pid, parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

/// proc(5): the name stands in parentheses and may itself hold any character, so the fields are counted from the last one.
fn parse_stat(line: &str) -> Option<Stat> {
    let fields: Vec<&str> = line.get(line.rfind(')')? + 1..)?.split_whitespace().collect();
    let field = |n: usize| fields.get(n - 3).and_then(|text| text.parse::<u64>().ok());
    let ticks = field(14)? + field(15)? + field(16)? + field(17)?;
    Some(Stat { parent: u32::try_from(field(4)?).ok()?, ticks })
}

fn memory_of(pid: u32) -> u64 {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { return 0 };
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

fn ticks_per_second() -> f64 {
    // SAFETY: sysconf takes no pointers and changes nothing.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    if ticks > 0 { ticks as f64 } else { 100.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = "42 (a) b (c)) S 7 42 42 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 5 6 7";
        assert_eq!(parse_stat(line), Some(Stat { parent: 7, ticks: 100 }));
        assert_eq!(parse_stat("garbage"), None);
    }

    #[test]
    fn this_process_uses_cpu_and_memory() {
        let watch = Watch::new(&[std::process::id()]);
        let before = watch.cpu_seconds();
        let mut sum = 0_u64;
        while watch.cpu_seconds() - before < 0.03 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(watch.memory_kib() > 500);
    }
}
