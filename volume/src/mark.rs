//! A volume's mark: an object that says whose it is. Without it nothing is written, removed or listed: two clusters with
//! one prefix would sweep away each other's packs, and a folder whose file system is not mounted looks like an empty
//! volume, where nothing is missing.

/// Its name; [`is_hidden`](crate::backend::is_hidden), so that no list shows it.
pub(crate) const NAME: &str = ".zcluster-volume";
/// Bytes of it at most.
pub(crate) const MAX: u64 = 1024;
const FIRST: &str = "zcluster volume 1";

/// Whose a volume is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The cluster's id.
    pub cluster: String,
    /// The volume's name there.
    pub name: String,
}

impl Mark {
    /// As it is written.
    pub(crate) fn text(&self) -> String {
        format!("{FIRST}\ncluster={}\nname={}\n", self.cluster, self.name)
    }

    /// As it was written; none: it is something else.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Mark> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.lines();
        if lines.next() != Some(FIRST) {
            return None;
        }
        let cluster = lines.next()?.strip_prefix("cluster=")?.to_string();
        let name = lines.next()?.strip_prefix("name=")?.to_string();
        Some(Mark { cluster, name })
    }
}

#[cfg(test)]
mod tests {
    use super::Mark;

    #[test]
    fn written_and_read() {
        let mark = Mark { cluster: "6f1c".into(), name: "cold".into() };
        assert_eq!(mark.text(), "zcluster volume 1\ncluster=6f1c\nname=cold\n");
        assert_eq!(Mark::parse(mark.text().as_bytes()), Some(mark));
        for bad in ["", "zcluster volume 2\ncluster=a\nname=b\n", "zcluster volume 1\nname=b\n", "\u{0}"] {
            assert_eq!(Mark::parse(bad.as_bytes()), None);
        }
    }
}
