//! Plans as files: what a failing seed leaves behind, what is shrunk, what is pinned.

use super::{Plan, Scale};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;
use zcluster_runtime::planted::Bug;

/// A plan and what is known of it. It is read by people: the reason comes first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFile {
    /// Why it is kept, in a line.
    pub why: String,
    /// The commit it was made at.
    pub commit: String,
    /// The promise that it breaks or, in a pinned plan without a planted bug, once broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<String>,
    /// A bug to be planted before it is run; the promise must then be broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bug: Option<String>,
    /// The plan.
    pub plan: Plan,
}

impl PlanFile {
    /// Reads one.
    ///
    /// # Errors
    /// The file cannot be read or is no plan.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no plan", path.display()))
    }
    /// Writes it, making the directory if need be.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Something to run: a seed or a file.
#[derive(Clone, Debug)]
pub enum Case {
    /// The plan that a seed stands for.
    Seed(u64, Scale),
    /// A plan from a file, under the file's name.
    File(PathBuf, Box<PlanFile>),
}

impl Case {
    /// Reads what a person wrote: a number is a seed, anything else a file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn parse(text: &str, scale: Scale) -> Result<Self> {
        match text.parse() {
            Ok(seed) => Ok(Case::Seed(seed, scale)),
            Err(_) => Case::file(Path::new(text)),
        }
    }
    /// A plan from a file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn file(path: &Path) -> Result<Self> {
        Ok(Case::File(path.to_path_buf(), Box::new(PlanFile::read(path)?)))
    }
    /// Its plan.
    pub fn plan(&self) -> Plan {
        match self {
            Case::Seed(seed, scale) => Plan::from_seed(*seed, *scale),
            Case::File(_, file) => file.plan.clone(),
        }
    }
    /// The bug to plant.
    ///
    /// # Errors
    /// There is no bug of the name that the file has.
    pub fn bug(&self) -> Result<Option<Bug>> {
        match self {
            Case::Seed(..) => Ok(None),
            Case::File(_, file) => file.bug.as_deref().map(bug_of_name).transpose(),
        }
    }
    /// How it is called on a command line and in reports; the same for the same case.
    pub fn name(&self) -> String {
        match self {
            Case::Seed(seed, _) => seed.to_string(),
            Case::File(path, _) => path.display().to_string(),
        }
    }
    /// What a file is called that is made of it.
    pub fn stem(&self) -> String {
        match self {
            Case::Seed(seed, scale) => format!("seed-{seed}-{}", scale.name()),
            Case::File(path, _) => path.file_stem().map_or("plan".into(), |s| s.to_string_lossy().into_owned()),
        }
    }
}

/// The bug of this name.
///
/// # Errors
/// There is none.
pub fn bug_of_name(name: &str) -> Result<Bug> {
    match Bug::ALL.into_iter().find(|b| b.name() == name) {
        Some(bug) => Ok(bug),
        None => bail!("no bug is called {name}; there are: {}", Bug::ALL.map(Bug::name).join(", ")),
    }
}

/// The commit that the work tree stands at, `-dirty` when something is changed, `unknown` outside of a repository.
pub fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]).output();
    match output {
        Ok(o) if o.status.success() => String::from_utf8_lossy(&o.stdout).trim().to_string(),
        _ => "unknown".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_keep_what_they_were_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/seed.json");
        let file = PlanFile {
            why: "a test".into(),
            commit: commit(),
            promise: None,
            bug: Some("log-hole".into()),
            plan: Plan::from_seed(7, Scale::Short),
        };
        file.write(&path).unwrap();
        let case = Case::parse(path.to_str().unwrap(), Scale::Normal).unwrap();
        assert_eq!(case.plan(), file.plan);
        assert_eq!(case.bug().unwrap(), Some(Bug::LogHole));
        assert_eq!(Case::parse("12", Scale::Short).unwrap().plan(), Plan::from_seed(12, Scale::Short));
    }
}
