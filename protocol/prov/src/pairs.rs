//! `attr value`, `+attr value`, `-attr value`.

use crate::usage;
use zcluster_api::directory::{Modification, ModifyKind};
use zcluster_directory::Failure;

/// Pairs as changes. Several plain values of one attribute are all set; an empty one removes the attribute.
///
/// # Errors
/// A name without a value; no name.
pub(crate) fn modifications(pairs: &[&str]) -> Result<Vec<Modification>, Failure> {
    if !pairs.len().is_multiple_of(2) {
        return Err(usage("attributes and values come in pairs"));
    }
    let mut out: Vec<Modification> = Vec::new();
    for pair in pairs.chunks(2) {
        let (name, kind) = match (pair[0].strip_prefix('+'), pair[0].strip_prefix('-')) {
            (Some(name), _) => (name, ModifyKind::Add),
            (_, Some(name)) => (name, ModifyKind::Remove),
            _ => (pair[0], ModifyKind::Replace),
        };
        if name.is_empty() {
            return Err(usage(format!("{:?} names no attribute", pair[0])));
        }
        match out.iter_mut().find(|m| m.kind == kind && m.name.eq_ignore_ascii_case(name)) {
            Some(same) => same.values.push(pair[1].to_string()),
            None => out.push(Modification { name: name.to_string(), kind, values: vec![pair[1].to_string()] }),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_and_repeated_attributes() {
        let changes = modifications(&["a", "1", "A", "2", "+b", "3", "-b", "4"]).unwrap();
        let shown: Vec<_> = changes.iter().map(|m| (m.name.as_str(), m.kind, m.values.len())).collect();
        assert_eq!(shown, [("a", ModifyKind::Replace, 2), ("b", ModifyKind::Add, 1), ("b", ModifyKind::Remove, 1)]);
        assert!(modifications(&["a"]).is_err() && modifications(&["+", "x"]).is_err());
    }
}
