//! Delta debugging: which items of a list can be left out?

/// Leaves out as many items as it can while `fails` finds among the lists that it is given one that still fails (it
/// answers with that list's place). Tries halves first, then quarters, down to single items (Zeller, Hildebrandt,
/// "Simplifying and isolating failure-inducing input", 2002).
pub(super) fn ddmin<T: Clone>(items: Vec<T>, mut fails: impl FnMut(&[Vec<T>]) -> Option<usize>) -> Vec<T> {
    let mut items = items;
    // Everything at once: often nothing of a kind matters.
    if items.is_empty() || fails(&[Vec::new()]).is_some() {
        return Vec::new();
    }
    let mut parts = 2;
    while items.len() >= 2 {
        let size = items.len().div_ceil(parts);
        let without: Vec<Vec<T>> = (0..items.len())
            .step_by(size)
            .map(|from| {
                let to = (from + size).min(items.len());
                [&items[..from], &items[to..]].concat()
            })
            .collect();
        match fails(&without) {
            Some(place) => {
                items = without.into_iter().nth(place).unwrap_or_default();
                parts = (parts - 1).max(2);
            }
            None if size == 1 => break,
            None => parts = (parts * 2).min(items.len()),
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smallest(needed: &[u32], of: u32) -> (Vec<u32>, usize) {
        let mut asked = 0;
        let left = ddmin((0..of).collect(), |lists| {
            asked += lists.len();
            lists.iter().position(|l| needed.iter().all(|n| l.contains(n)))
        });
        (left, asked)
    }

    #[test]
    fn only_what_is_needed_is_left() {
        assert_eq!(smallest(&[], 100).0, Vec::<u32>::new());
        assert_eq!(smallest(&[17], 100).0, [17]);
        assert_eq!(smallest(&[0, 50, 99], 100).0, [0, 50, 99]);
        assert_eq!(smallest(&[0], 1).0, [0]);
        let (_, asked) = smallest(&[3, 77], 100);
        assert!(asked < 200, "{asked}");
    }
}
